/**
 * Commands that apply files of services, and those that look ahead.
 *
 * @module
 */
import { list, type Parser, serverCommand, value } from "../command.ts";
import { parseCount, parseCpus, parseMemory, parsePair } from "../format/quantity.ts";

const GROUP = "Look ahead:";

const parseNames: Parser<string[]> = (text) => {
  const names = text.split(",").map((name) => name.trim());
  return names.includes("")
    ? { ok: false, message: "write names separated by commas, like n1,n2" }
    : { ok: true, value: names };
};

const parseScale: Parser<{ service: string; replicas: number }> = (text) => {
  const match = /^([a-z0-9/-]+)=(\d{1,6})$/.exec(text);
  return match?.[1] === undefined
    ? { ok: false, message: "write SERVICE=REPLICAS, like web=10" }
    : { ok: true, value: { service: match[1], replicas: Number(match[2]) } };
};

const FILE =
  "FILE is YAML or JSON: one service, a list of them, or `services:` with a list; - is\n" +
  "standard input.";

export const forecastCommands = [
  serverCommand({
    name: "apply",
    group: "Run things:",
    summary: "Create or change the services of a file",
    details: `${FILE} Services that are as the file says are left alone.`,
    args: "<file>",
    options: {},
    examples: [
      ["berth apply shop.yaml", "says of each: created, changed or unchanged"],
      ["generate-specs | berth apply -", "from standard input"],
    ],
    run: async (_options, [path = ""], deps) =>
      (await import("../commands/apply.ts")).apply(path, deps),
  }),
  serverCommand({
    name: "plan",
    group: GROUP,
    summary: "Show what applying a file would do, task by task",
    details: `${FILE} Nothing is written.\nExit code 7: some task would find no place.`,
    args: "<file>",
    options: {},
    examples: [
      ["berth plan shop.yaml", "before: berth apply shop.yaml"],
      ["berth plan shop.yaml -o json | jq .counts", "for scripts"],
    ],
    run: async (_options, [path = ""], deps) =>
      (await import("../commands/forecast.ts")).plan(path, deps),
  }),
  serverCommand({
    name: "simulate",
    group: GROUP,
    summary: "Show what would happen if nodes or services changed",
    details: "Everything that is given happens at once, on paper. Nothing is written.\n" +
      "Exit code 7: some task would find no place.",
    options: {
      fail: list("--fail <nodes>", "These nodes fail: n1,n2", parseNames),
      drain: list("--drain <nodes>", "These nodes are drained", parseNames),
      add: value("--add <n>", "So many nodes join", parseCount),
      cpus: value("--cpus <n>", "Cores of each added node (default: 4)", parseCpus),
      memory: value("--memory <size>", "Memory of each added node (default: 8g)", parseMemory),
      label: list("--label <key=value>", "Label of the added nodes", parsePair),
      service: value("--service <file>", "These services are applied"),
      scale: list("--scale <service=n>", "This service has n replicas", parseScale),
    },
    examples: [
      ["berth simulate", "as it is: what waits, and what room is left"],
      ["berth simulate --fail n1,n2", "could we lose these two?"],
      ["berth simulate --scale web=50 --add 3 --cpus 8", "would three more do?"],
    ],
    run: async ({ fail, drain, ...options }, _args, deps) =>
      (await import("../commands/forecast.ts")).simulate(
        { ...options, fail: fail.flat(), drain: drain.flat() },
        deps,
      ),
  }),
];
