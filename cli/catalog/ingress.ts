/**
 * Commands about HTTP from outside.
 *
 * @module
 */
import { list, serverCommand, value } from "../command.ts";
import { parsePortNumber } from "../format/quantity.ts";
import { parseAuthority, parseEmail, parseSelector } from "../format/routes.ts";

const GROUP = "Reach services:";

export const ingressCommands = [
  serverCommand({
    name: "routes",
    group: GROUP,
    summary: "Show which requests go to which service",
    args: "[service]",
    completes: "services",
    options: { project: value("--project <name>", "Only of this project") },
    examples: [
      ["berth routes", "by host and path"],
      ["berth update --route www.example.com,tls=plain web", "gives web a route"],
      ["berth routes -o wide", "with how connections are spread"],
    ],
    run: async (options, [service], deps) =>
      (await import("../commands/routes.ts")).routes(options, service, deps),
  }),
  serverCommand({
    name: "ingress enable",
    group: GROUP,
    summary: "Run the proxy that serves the routes",
    details: "Caddy, as a global service on the nodes chosen; their agents configure it. All " +
      "settings are those of the newest call",
    options: {
      nodes: list(
        "--nodes <selector>",
        "NAME, LABEL=VALUE, a constraint, or all; may be repeated, and all must hold",
        parseSelector,
      ),
      image: value("--image <image>", "Image that has caddy (default: caddy:2)"),
      httpPort: value("--http-port <port>", "For HTTP (default: 80)", parsePortNumber),
      httpsPort: value("--https-port <port>", "For HTTPS (default: 443)", parsePortNumber),
      acmeEmail: value(
        "--acme-email <address>",
        "Of the account at the certificate authority",
        parseEmail,
      ),
      acmeCa: value(
        "--acme-ca <url>",
        "Another authority's ACME directory, or internal: sign them here",
        parseAuthority,
      ),
    },
    examples: [
      ["berth ingress enable --nodes edge=true", "on nodes with this label"],
      ["berth ingress enable --nodes all --acme-email ops@example.com", "everywhere"],
      ["berth ingress enable --nodes n1 --acme-ca internal", "without a public authority"],
    ],
    run: async (options, _args, deps) =>
      (await import("../commands/ingress.ts")).enable(options, deps),
  }),
  serverCommand({
    name: "ingress disable",
    group: GROUP,
    summary: "Stop and remove the proxy",
    options: {},
    examples: [["berth ingress disable", "routes stay, and lead nowhere"]],
    run: async (_options, _args, deps) => (await import("../commands/ingress.ts")).disable(deps),
  }),
  serverCommand({
    name: "ingress status",
    group: GROUP,
    summary: "Show the proxy and its nodes",
    options: {},
    examples: [["berth ingress status", "each node that runs it"]],
    run: async (_options, _args, deps) => (await import("../commands/ingress.ts")).status(deps),
  }),
];
