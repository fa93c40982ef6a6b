/**
 * Commands for what runs: look into it, reach into it, make it anew.
 *
 * @module
 */
import { choice, flag, serverCommand, value } from "../command.ts";
import { EXIT } from "../exit.ts";
import { parseDetachKeys } from "../format/detach_keys.ts";
import { NO_WAIT, PROJECT } from "./global.ts";

const LOOK = "Look at things:";
const CHANGE = "Change things:";
const RUN = "Run things:";

const GOALS = ["running", "ready", "done", "gone"] as const;

const SORTS = ["cpu", "memory", "network"] as const;
const USAGE_OPTIONS = {
  noStream: flag("--no-stream", "Print it once and end; so it is without a terminal"),
  sort: choice("--sort <by>", "What comes first (default: cpu)", SORTS),
  project: value("--project <name>", "Only of this project"),
};

export const operateCommands = [
  serverCommand({
    name: "stats",
    group: LOOK,
    summary: "Show what tasks use: CPU, memory, network",
    details:
      "Live at a terminal, until q. 100% is one core. -o json prints it once, with all sums.",
    args: "[service|task...]",
    completes: "tasks",
    options: USAGE_OPTIONS,
    examples: [
      ["berth stats", "all tasks, live"],
      ["berth stats web db.1 --no-stream", "those, once"],
      ["berth stats -o json | jq '.[] | {task, cpus}'", "for scripts"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/stats.ts")).stats({ ...options, nodes: false }, refs, deps),
  }),
  serverCommand({
    name: "top",
    group: LOOK,
    summary: "Show live what nodes and tasks use",
    details:
      "Keys: c, m and n sort by CPU, memory and network; q ends. Nodes show what their tasks\n" +
      "use together, beside what they have.",
    args: "[service|task...]",
    completes: "tasks",
    options: USAGE_OPTIONS,
    examples: [
      ["berth top", "in place, until q"],
      ["berth top --sort memory web", "the tasks of web"],
      ["berth top --no-stream", "once"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/stats.ts")).stats({ ...options, nodes: true }, refs, deps),
  }),
  serverCommand({
    name: "restart",
    group: CHANGE,
    summary: "Replace the tasks of services, or single tasks, by new ones",
    details:
      "A service goes slot by slot as its update policy has it: a revision that differs in\n" +
      "nothing is rolled out. A task is stopped at once, and a new one follows in its slot.",
    args: "<service|task...>",
    completes: "tasks",
    options: { project: PROJECT, noWait: NO_WAIT },
    examples: [
      ["berth restart web", "all its tasks, as an update would"],
      ["berth restart web.2", "that one, at once"],
      ["berth restart web --no-wait && berth rollout status -f web", "watch it later"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/restart.ts")).restart(options, refs, deps),
  }),
  serverCommand({
    name: "wait",
    group: LOOK,
    summary: "Wait until services or tasks are as far as asked",
    details:
      "--for running, ready, done (ended with success) or gone (removed; of a task: ended).\n" +
      "Without it: done for jobs, ready for all others. Ends with 0 when it is so, 1 when it\n" +
      "cannot be any more, 7 when --timeout (10m) is over.",
    args: "<service|task...>",
    completes: "tasks",
    options: {
      goal: choice("--for <state>", "What to wait for", GOALS),
      project: PROJECT,
    },
    examples: [
      ["berth wait web", "until all its tasks can serve"],
      ["berth wait --for done migrate && berth start web", "a job first"],
      ["berth wait --for gone --timeout 1m web.2", "until that task has ended"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/wait.ts")).wait(options, refs, deps),
  }),
  serverCommand({
    name: "describe",
    group: LOOK,
    summary: "Show one page about a service, task or node",
    details: "What it is, its tasks, endpoints, events, and the last failure with its last lines.",
    args: "<ref>",
    completes: "tasks",
    options: { project: PROJECT },
    examples: [
      ["berth describe web", "a service"],
      ["berth describe web.2", "a task"],
      ["berth describe n1 -o json", "a node, for scripts"],
    ],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/describe.ts")).describe(options, ref, deps),
  }),
  serverCommand({
    name: "attach",
    group: RUN,
    summary: "Attach to the main process of a running task",
    details:
      "Its output from now on; input, if the service keeps standard input open. The process goes\n" +
      "on when you detach (Ctrl-P, Ctrl-Q) or the connection breaks. The exit code is its own.",
    args: "<task>",
    completes: "tasks",
    ownFailure: EXIT.own,
    options: {
      noStdin: flag("--no-stdin", "Pass nothing on that is typed"),
      noSigProxy: flag("--no-sig-proxy", "Ctrl-C detaches, instead of reaching the process"),
      detachKeys: value("--detach-keys <keys>", "Other keys to detach", parseDetachKeys),
      project: PROJECT,
    },
    examples: [
      ["berth attach game", "the only task of game"],
      ["berth attach --no-stdin web.1", "only look"],
    ],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/attach_task.ts")).attachTask(options, ref, deps),
  }),
  serverCommand({
    name: "cp",
    group: RUN,
    summary: "Copy files out of a task's container, or into it",
    details:
      "As docker cp: a directory goes into one that is there, or becomes the name that is given;\n" +
      "with /. at the end of the source, what is in it is copied. - is a tar on standard input\n" +
      "or output. What comes out belongs to you, what goes in to root. Links are copied as\n" +
      "links, and nothing is ever written through one.",
    args: "<source> <target>",
    completes: "tasks",
    options: {
      archive: flag("-a, --archive", "Keep owners and groups by their ids (out: as root only)"),
      followLink: flag("-L, --follow-link", "Of a source that is a link, copy what it leads to"),
      project: PROJECT,
    },
    examples: [
      ["berth cp web.1:/var/log/app.log .", "a file of the container to here"],
      ["berth cp ./site/. web.1:/srv", "what is in a directory, into the container"],
      ["berth cp web.1:/srv - | tar t", "as a tar"],
    ],
    run: async (options, paths, deps) =>
      (await import("../commands/cp.ts")).cp(options, paths, deps),
  }),
];
