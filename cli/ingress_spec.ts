/**
 * The service that the ingress proxy is. Pure.
 *
 * @module
 */
import { INGRESS, INGRESS_LABEL } from "../kv/schema/ingress.ts";
import type { ServiceSpecInput } from "../kv/schema/service.ts";

export interface IngressOptions {
  /** Constraints that its nodes meet, all of them. */
  nodes: readonly string[];
  image: string;
  httpPort: number;
  httpsPort: number;
  acmeEmail?: string;
  acmeCa?: string;
}

/** What Caddy starts with: it serves nothing until its node's agent has told it what. */
export const START_CONFIG = JSON.stringify({
  admin: { listen: INGRESS.admin, config: { persist: false } },
});

export function ingressSpec(options: IngressOptions): ServiceSpecInput {
  const { nodes, image, httpPort, httpsPort, acmeEmail, acmeCa } = options;
  return {
    name: INGRESS.service,
    project: INGRESS.project,
    mode: { type: "global" },
    template: {
      image,
      entrypoint: ["caddy", "run", "--config", INGRESS.configPath],
      // What it got by itself, certificates above all, outlives the container.
      env: { XDG_DATA_HOME: "/data", XDG_CONFIG_HOME: "/tmp" },
      labels: {
        [INGRESS_LABEL.httpPort]: String(httpPort),
        [INGRESS_LABEL.httpsPort]: String(httpsPort),
        ...(acmeEmail === undefined ? {} : { [INGRESS_LABEL.acmeEmail]: acmeEmail }),
        ...(acmeCa === undefined ? {} : { [INGRESS_LABEL.acmeCa]: acmeCa }),
      },
      ports: [httpPort, httpsPort].map((port) => ({ target: port, published: port, mode: "host" })),
      configs: [{ source: INGRESS.config, target: INGRESS.configPath }],
      mounts: [{ type: "volume", source: "data", target: "/data" }],
      // It reaches tasks as the agent does, and clients' addresses stay what they are.
      container: { networkMode: "host", capDrop: ["ALL"], capAdd: ["NET_BIND_SERVICE"] },
      restart: { condition: "any" },
      placement: { constraints: [...nodes] },
    },
  };
}
