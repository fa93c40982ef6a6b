/**
 * The ingress proxy: an ordinary global service of one project, which agents know by these names.
 *
 * @module
 */
import { z } from "zod";
import { DataName } from "./sealed.ts";

export const INGRESS = {
  project: "berth-ingress",
  service: "caddy",
  /** The config that a proxy starts with: all it has is where it takes orders. */
  config: "start",
  configPath: "/etc/berth-ingress.json",
  /** A socket in the container's own file system: the network does not lead there. */
  admin: "unix//run/berth-ingress.sock",
} as const;

/** Labels of the ingress service's template, by which it tells agents what to make of the routes. */
export const INGRESS_LABEL = {
  httpPort: "berth.ingress.http-port",
  httpsPort: "berth.ingress.https-port",
  acmeEmail: "berth.ingress.acme-email",
  acmeCa: "berth.ingress.acme-ca",
} as const;

/** Instead of an ACME server's URL: the proxy signs certificates itself. */
export const INTERNAL_CA = "internal";

/** The certificate that routes name, as a node's agent gets it. */
export const CertificateView = z.object({
  name: DataName,
  version: z.int().min(1),
  data: z.string().meta({
    description: "Certificate chain and private key as PEM, in base64",
    contentEncoding: "base64",
  }),
}).meta({ id: "Certificate", description: "A certificate of the cluster's routes" });
export type CertificateView = z.infer<typeof CertificateView>;
