/**
 * Commands for what runs: look into it, reach into it, make it anew.
 *
 * @module
 */
import { choice, serverCommand } from "../command.ts";
import { NO_WAIT, PROJECT } from "./global.ts";

const LOOK = "Look at things:";
const CHANGE = "Change things:";

const GOALS = ["running", "ready", "done", "gone"] as const;

export const operateCommands = [
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
];
