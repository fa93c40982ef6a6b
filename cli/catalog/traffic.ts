/**
 * Commands about reaching services.
 *
 * @module
 */
import { flag, list, serverCommand, value } from "../command.ts";
import { parseForward, parseHeader } from "../format/forward.ts";
import { parsePortNumber } from "../format/quantity.ts";
import { PROJECT } from "./global.ts";

const GROUP = "Reach services:";

export const trafficCommands = [
  serverCommand({
    name: "endpoints",
    group: GROUP,
    summary: "Show where services can be reached",
    args: "[service]",
    completes: "services",
    options: { project: value("--project <name>", "Only of this project") },
    examples: [
      ["berth endpoints", "the ports of every service"],
      ["berth endpoints web", "each task of web, and whether it gets connections"],
      ["berth endpoints web -o json", "for scripts"],
    ],
    run: async (options, [service], deps) =>
      (await import("../commands/endpoints.ts")).endpoints(options, service, deps),
  }),
  serverCommand({
    name: "port-forward",
    group: GROUP,
    summary: "Connect local ports to a service",
    details: "Connections go through the server and the node's agent: the service need publish " +
      "nothing, and its node may be behind NAT. TCP only",
    args: "<service> <ports...>",
    completes: "services",
    options: {
      address: value("--address <address>", "Listen on this address (default: 127.0.0.1)"),
      project: PROJECT,
    },
    examples: [
      ["berth port-forward web 8080:80", "http://127.0.0.1:8080 is port 80 of web"],
      ["berth port-forward db 5432", "the same number on both sides"],
      ["berth port-forward web.2 0:80", "one task, on any free local port"],
    ],
    run: async (options, [service = "", ...ports], deps) => {
      const { portForward } = await import("../commands/port_forward.ts");
      return await portForward(options, service, ports.map(parseForward), deps);
    },
  }),
  serverCommand({
    name: "curl",
    group: GROUP,
    summary: "Send an HTTP request to a service",
    details: "Through the server and the node's agent, as port-forward does it: to see what a " +
      "service answers, whether or not it publishes a port",
    args: "<service/path>",
    completes: "services",
    options: {
      method: value("-X, --request <method>", "Method (default: GET, with -d POST)"),
      header: list("-H, --header <header>", "A header, as `name: value`; repeatable", parseHeader),
      data: value("-d, --data <text>", "Body of the request; @FILE reads a file"),
      include: flag("-i, --include", "Print the answer's status and headers too"),
      fail: flag("-f, --fail", "End with 1 when the status is 400 or above"),
      port: value("-p, --port <port>", "Port inside the container", parsePortNumber),
      project: PROJECT,
    },
    examples: [
      ["berth curl web/healthz", "GET /healthz on the first port of web"],
      ["berth curl -i -p 9090 web.1/metrics", "one task, another port, with headers"],
      ["berth curl -X PUT -d @item.json api/items/1", "a request with a body"],
    ],
    run: async (options, [target = ""], deps) =>
      (await import("../commands/curl.ts")).curl(options, target, deps),
  }),
];
