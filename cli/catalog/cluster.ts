/**
 * Commands about nodes, contexts and this program.
 *
 * @module
 */
import {
  type AnyCommand,
  flag,
  localCommand,
  type Parser,
  serverCommand,
  value,
} from "../command.ts";
import { parseCount, parseCpus, parseMemory } from "../format/quantity.ts";

const NODES = "Machines and servers:";
const LOCAL = "On this machine, in a checkout of Berth:";

function nodesCommand(name: string): AnyCommand {
  return serverCommand({
    name,
    group: NODES,
    summary: "List the machines of the cluster",
    options: {},
    examples: [
      [`berth ${name}`, "state, load and engine of each"],
      [`berth ${name} -o wide`, "with labels, versions and ids"],
    ],
    run: async (_options, _args, deps) => (await import("../commands/nodes.ts")).nodes(deps),
  });
}

export const clusterCommands = [
  nodesCommand("nodes"),
  nodesCommand("node ls"),
  serverCommand({
    name: "node join-token",
    group: NODES,
    summary: "Print the line that makes another machine join",
    options: {},
    examples: [
      ["berth node join-token", "paste it on the other machine"],
      ["berth node join-token -q", "the token alone"],
    ],
    run: async (_options, _args, deps) => (await import("../commands/nodes.ts")).joinToken(deps),
  }),
  localCommand({
    name: "context ls",
    group: NODES,
    summary: "List known servers",
    options: {},
    examples: [["berth context ls", "the current one is marked *"]],
    run: async (_options, _args, deps) => (await import("../commands/context.ts")).contextLs(deps),
  }),
  localCommand({
    name: "context use",
    group: NODES,
    summary: "Choose the server to talk to",
    args: "<name>",
    completes: "contexts",
    options: {},
    examples: [["berth context use dev", "from now on"]],
    run: async (_options, [name = ""], deps) =>
      (await import("../commands/context.ts")).contextUse(name, deps),
  }),
  localCommand({
    name: "context add",
    group: NODES,
    summary: "Store another server's address and token under a new name",
    details:
      "The token is taken from --token, else from BERTH_TOKEN. The first one is used at once.",
    args: "<name>",
    options: {},
    examples: [
      [
        "BERTH_TOKEN=… berth context add prod --server https://berth.example.com",
        "another cluster",
      ],
      ["berth --context prod ps", "one command there, without changing to it"],
    ],
    run: async (_options, [name = ""], deps) =>
      (await import("../commands/context.ts")).contextSet(name, deps.given, deps, { add: true }),
  }),
  localCommand({
    name: "context set",
    group: NODES,
    summary: "Store a server's address and token under a name",
    details: "The token is taken from --token, else from BERTH_TOKEN.",
    args: "<name>",
    options: {},
    examples: [
      ["BERTH_TOKEN=… berth context set prod --server https://berth.example.com", "keep a token"],
    ],
    run: async (_options, [name = ""], deps) =>
      (await import("../commands/context.ts")).contextSet(name, deps.given, deps),
  }),
  localCommand({
    name: "context rm",
    group: NODES,
    summary: "Forget a server and its token",
    args: "<name>",
    completes: "contexts",
    options: {},
    examples: [["berth context rm dev", "the server itself is not touched"]],
    run: async (_options, [name = ""], deps) =>
      (await import("../commands/context.ts")).contextRm(name, deps),
  }),
  localCommand({
    name: "context show",
    group: NODES,
    summary: "Show which server would be used now, and why",
    options: {},
    examples: [["berth context show", "the token itself is not shown"]],
    run: async (_options, _args, deps) =>
      (await import("../commands/context.ts")).contextShow(deps),
  }),
];

const LOCAL_OPTIONS = {
  workers: value("--workers <n>", "Local workers", parseCount),
  cpus: value("--cpus <n>", "Cores that the workers share", parseCpus),
  memory: value("--memory <size>", "Memory that the workers share", parseMemory),
};

const MAX_SIM_NODES = 900;

/** How many simulated nodes; without a number the option means something else. */
const parseSimNodes: Parser<number | true> = (text) => {
  const nodes = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return nodes >= 1 && nodes <= MAX_SIM_NODES
    ? { ok: true, value: nodes }
    : { ok: false, message: `write how many nodes, from 1 to ${MAX_SIM_NODES}` };
};

export const localCommands = [
  localCommand({
    name: "dev",
    group: LOCAL,
    summary: "Start a server and a worker here, until Ctrl-C",
    details: "State is kept in .berth/dev. Run it as: deno task dev",
    options: {
      ...LOCAL_OPTIONS,
      sim: value(
        "--sim [nodes]",
        "Simulated containers, no engine; with a number: so many simulated nodes beside the worker",
        parseSimNodes,
      ),
    },
    examples: [
      ["deno task dev", "server on port 7070 and one worker"],
      ["deno task dev --workers 3 --sim", "three workers without an engine"],
      ["deno task dev --sim 100", "a playground of 100 nodes (docs/playground.md)"],
    ],
    run: async ({ sim, ...options }, _args, deps) =>
      (await import("../commands/dev.ts")).dev({
        ...options,
        sim: sim === true,
        ...(typeof sim === "number" ? { simNodes: sim } : {}),
      }, deps),
  }),
  localCommand({
    name: "demo",
    group: LOCAL,
    summary: "Show on this machine what Berth does",
    details: "Run it as: deno task demo",
    options: {
      ...LOCAL_OPTIONS,
      sim: flag("--sim", "Simulated containers, no engine"),
      once: flag("--once", "Clean up and end after the story"),
    },
    examples: [
      ["deno task demo", "until Ctrl-C, so that you can look around"],
      ["deno task demo --once", "the same, then cleaned up"],
    ],
    run: async (options, _args, deps) => (await import("../commands/demo.ts")).demo(options, deps),
  }),
];

export function programCommands(version: string): AnyCommand[] {
  return [
    localCommand({
      name: "version",
      group: "This program:",
      summary: "Print the versions of CLI and server",
      options: {},
      examples: [["berth version -o json", "for scripts"]],
      run: async (_options, _args, deps) =>
        (await import("../commands/status.ts")).version(version, deps),
    }),
  ];
}
