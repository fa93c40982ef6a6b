/**
 * Commands about the modes of services: scaling, and runs of jobs.
 *
 * @module
 */
import { list, serverCommand } from "../command.ts";
import { EXIT } from "../exit.ts";
import { parsePair } from "../format/quantity.ts";
import { NO_WAIT, PROJECT } from "./global.ts";

const GROUP = "Run things:";

export const modeCommands = [
  serverCommand({
    name: "scale",
    group: GROUP,
    summary: "Set how many replicas services have",
    args: "<service=n...>",
    options: { project: PROJECT, noWait: NO_WAIT },
    examples: [
      ["berth scale web=3", "three tasks; waits until they run"],
      ["berth scale web=0 api=5 --no-wait", "two services; ask and return"],
    ],
    run: async (options, targets, deps) =>
      (await import("../commands/scale.ts")).scale(options, targets, deps),
  }),
  serverCommand({
    name: "job run",
    group: GROUP,
    summary: "Run a job or cron service now",
    details: "One run, beside its schedule or completions. Its output is shown, and its exit\n" +
      "code is this command's. Ctrl-C leaves it to the cluster.\n" +
      "A COMMAND after -- replaces the service's.",
    args: "<service> [command...]",
    completes: "services",
    ownFailure: EXIT.own,
    options: {
      env: list("-e, --env <key=value>", "Environment variable; may be repeated", parsePair),
      project: PROJECT,
      noWait: NO_WAIT,
    },
    examples: [
      ["berth job run backup", "now, as it is"],
      ["berth job run backup -e FULL=1", "with more environment"],
      ["berth job run backup -- backup --full /srv", "with another command"],
    ],
    run: async (options, [ref = "", ...command], deps) =>
      (await import("../commands/job.ts")).jobRun(options, ref, command, deps),
  }),
  serverCommand({
    name: "job ls",
    group: GROUP,
    summary: "List the runs of a job or cron service",
    args: "<service>",
    completes: "services",
    options: { project: PROJECT },
    examples: [["berth job ls backup", "newest first"]],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/job.ts")).jobLs(options, ref, deps),
  }),
];
