/**
 * The part of Traefik's dynamic configuration (v3) that routes are told in: what its HTTP provider reads.
 *
 * @module
 */
import { z } from "zod";

const Middleware = z.strictObject({
  stripPrefix: z.strictObject({ prefixes: z.array(z.string()) }).optional(),
  redirectRegex: z.strictObject({
    regex: z.string(),
    replacement: z.string(),
    permanent: z.boolean(),
  }).optional(),
  redirectScheme: z.strictObject({ scheme: z.string(), permanent: z.boolean() }).optional(),
  headers: z.strictObject({
    customRequestHeaders: z.record(z.string(), z.string()).optional(),
    customResponseHeaders: z.record(z.string(), z.string()).optional(),
  }).optional(),
  buffering: z.strictObject({ maxRequestBodyBytes: z.int() }).optional(),
}).refine((one) => Object.keys(one).length === 1, "must be one middleware");

const Router = z.strictObject({
  rule: z.string(),
  priority: z.int(),
  service: z.string(),
  middlewares: z.array(z.string()).optional(),
  tls: z.strictObject({ certResolver: z.string().optional() }).optional(),
});

const LoadBalancer = z.strictObject({
  servers: z.array(z.strictObject({ url: z.url() })),
  passHostHeader: z.boolean(),
  serversTransport: z.string(),
  sticky: z.strictObject({
    cookie: z.strictObject({ name: z.string(), httpOnly: z.boolean() }),
  }).optional(),
});

export const TraefikDocument = z.object({
  http: z.object({
    routers: z.record(z.string(), Router).optional(),
    services: z.record(z.string(), z.strictObject({ loadBalancer: LoadBalancer })).optional(),
    middlewares: z.record(z.string(), Middleware).optional(),
    serversTransports: z.record(
      z.string(),
      z.strictObject({
        forwardingTimeouts: z.strictObject({
          dialTimeout: z.string(),
          responseHeaderTimeout: z.string(),
        }),
      }),
    ).optional(),
  }),
}).meta({ id: "TraefikDocument", description: "Dynamic configuration of Traefik 3" });
export type TraefikDocument = z.infer<typeof TraefikDocument>;
export type TraefikMiddleware = z.infer<typeof Middleware>;
