/**
 * Commands that look at things.
 *
 * @module
 */
import { type AnyCommand, choice, flag, serverCommand, value } from "../command.ts";
import { parseSince } from "../format/duration.ts";
import { parseCount, parsePattern } from "../format/quantity.ts";
import { PROJECT } from "./global.ts";

const GROUP = "Look at things:";

export const lookCommands = [
  serverCommand({
    name: "ps",
    group: GROUP,
    summary: "List tasks, one per line",
    args: "[service]",
    completes: "services",
    options: {
      all: flag("-a, --all", "Ended tasks too"),
      at: value("--at <when>", "As it was then: 10m, 2026-01-31T12:00:00Z", parseSince),
      project: value("--project <name>", "Only of this project"),
    },
    examples: [
      ["berth ps", "what runs"],
      ["berth ps -a web", "all tasks of web, ended ones too"],
      ["berth ps --at 10m web", "its tasks ten minutes ago, from the change log"],
      ["berth ps -o json | jq -r '.[].node'", "for scripts"],
    ],
    run: async ({ at, ...options }, [service], deps) =>
      at === undefined
        ? (await import("../commands/ps.ts")).ps(options, service, deps)
        : (await import("../commands/history.ts")).psAt(
          { ...options, atMs: at(deps.clock.wallMs()) },
          service,
          deps,
        ),
  }),
  servicesCommand("services"),
  serverCommand({
    name: "logs",
    group: GROUP,
    summary: "Print the output of tasks and services",
    details:
      "Lines of several tasks come in the order of their times, each behind its task's name.\n" +
      "While following, new tasks of a service join in and ended ones leave. -o json: one object a line.",
    args: "<service|task...>",
    completes: "tasks",
    options: {
      follow: flag("-f, --follow", "Go on with what comes; Ctrl-C ends it"),
      all: flag("-a, --all", "Ended tasks of a service too, as far as their output is kept"),
      tail: value("-n, --tail <lines>", "Only the last lines of each task", parseCount),
      since: value("--since <when>", "Only after: 10m, 2026-01-31T12:00:00Z", parseSince),
      grep: value(
        "--grep <pattern>",
        "Only lines that match this regular expression",
        parsePattern,
      ),
      timestamps: flag("-t, --timestamps", "Each line with its time"),
      project: PROJECT,
    },
    examples: [
      ["berth logs -f web", "all tasks of web, each line behind its task's name"],
      ["berth logs --since 10m web db", "two services, in the order of time"],
      ["berth logs --tail 100 web.2", "the end of one task's output"],
      ["berth logs -f --grep 'error|fail' web", "only such lines"],
    ],
    run: async ({ since, ...options }, refs, deps) =>
      (await import("../commands/logs.ts")).logs(
        { ...options, sinceMs: since?.(deps.clock.wallMs()) },
        refs,
        deps,
      ),
  }),
  serverCommand({
    name: "events",
    group: GROUP,
    summary: "Print what happened, and why",
    options: {
      follow: flag("-f, --follow", "Go on with what comes; Ctrl-C ends it"),
      since: value("--since <when>", "Only after: 10m, 2026-01-31T12:00:00Z", parseSince),
      last: value("-n, --last <count>", "How many (default: 50)", parseCount),
    },
    examples: [
      ["berth events", "the last 50"],
      ["berth events -f", "and those to come"],
      ["berth events -f -o json | jq .type", "one JSON object per line"],
    ],
    run: async ({ follow, since, last }, _args, deps) =>
      (await import("../commands/events.ts")).events(
        { follow, last, sinceMs: since?.(deps.clock.wallMs()) },
        deps,
      ),
  }),
  serverCommand({
    name: "history",
    group: GROUP,
    summary: "Print what happened to a service, task or node, and why",
    details:
      "From the change log, also of what is gone since. The log keeps the newest records;\n" +
      "where it begins later than what was asked for, that is said.",
    args: "<ref>",
    completes: "tasks",
    options: {
      since: value("--since <when>", "Only after: 10m, 2026-01-31T12:00:00Z", parseSince),
      last: value("-n, --last <count>", "Only the newest so many", parseCount),
      project: PROJECT,
    },
    examples: [
      ["berth history web", "a service and all its tasks"],
      ["berth history web.1 --since 1h", "one task"],
      ["berth history n1 -o json", "a node, for scripts"],
    ],
    run: async ({ since, ...options }, [ref = ""], deps) =>
      (await import("../commands/history.ts")).history(
        { ...options, sinceMs: since?.(deps.clock.wallMs()) },
        ref,
        deps,
      ),
  }),
  serverCommand({
    name: "why",
    group: GROUP,
    summary: "Explain why a task is where it is, or waits",
    args: "<task>",
    completes: "tasks",
    options: { project: PROJECT },
    examples: [
      ["berth why web.1", "each node's verdict on one task"],
      ["berth why web", "on the waiting tasks of a service"],
    ],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/why.ts")).why(options, ref, deps),
  }),
  serverCommand({
    name: "inspect",
    group: GROUP,
    summary: "Print everything about a service, task or node",
    args: "<ref>",
    completes: "tasks",
    options: {
      kind: choice("--type <kind>", "Look for this kind only", ["service", "task", "node"]),
      project: PROJECT,
    },
    examples: [
      ["berth inspect web", "a service"],
      ["berth inspect web.1 -o yaml", "a task, as YAML"],
      ["berth inspect --type node n1", "a node"],
    ],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/inspect.ts")).inspect(options, ref, deps),
  }),
  serverCommand({
    name: "status",
    group: GROUP,
    summary: "Show the cluster at a glance",
    options: {},
    examples: [["berth status", "leader, nodes, services, queue"]],
    run: async (_options, _args, deps) => (await import("../commands/status.ts")).status(deps),
  }),
];

export const serviceLs = servicesCommand("service ls");

function servicesCommand(name: string): AnyCommand {
  return serverCommand({
    name,
    group: GROUP,
    summary: "List services",
    options: { project: value("--project <name>", "Only of this project") },
    examples: [
      [`berth ${name}`, "one line per service"],
      [`berth ${name} -o wide`, "with revision, resources and id"],
      [`berth ${name} -q`, "names only"],
    ],
    run: async (options, _args, deps) =>
      (await import("../commands/services.ts")).services(options, deps),
  });
}
