/**
 * Commands that change services and steer what follows from it.
 *
 * @module
 */
import { flag, list, serverCommand, value } from "../command.ts";
import { parseCount, parseCpus, parseMemory, parsePair } from "../format/quantity.ts";
import { NO_WAIT, PROJECT } from "./global.ts";
import { SERVICE_FLAGS } from "./service_flags.ts";

const GROUP = "Change things:";

export const rolloutCommands = [
  serverCommand({
    name: "update",
    group: GROUP,
    summary: "Change a service and roll the change out",
    details: "What is not named stays; a flag that may be repeated replaces all that there was.\n" +
      "A command after -- replaces the image's.",
    args: "<service> [command...]",
    completes: "services",
    options: {
      image: value("--image <image>", "Another image"),
      pull: flag("--pull", "Run what the image's tag stands for now"),
      env: list("-e, --env <key=value>", "Set a variable; may be repeated", parsePair),
      envRm: list("--env-rm <key>", "Remove a variable; may be repeated"),
      cpus: value("--cpus <n>", "Cores to set aside, and the limit", parseCpus),
      memory: value("--memory <size>", "Memory to set aside, and the limit", parseMemory),
      ...SERVICE_FLAGS,
      project: PROJECT,
      noWait: NO_WAIT,
    },
    examples: [
      ["berth update web --image nginx:1.27", "roll out another image, and watch it"],
      ["berth update web --pull", "the same tag, which has moved"],
      ["berth update web -e LEVEL=debug --env-rm OLD", "change variables"],
      ["berth update web -- serve --verbose", "another command"],
      [
        "berth update --update-order start-first --update-failure-action rollback web",
        "for changes to come",
      ],
      ["berth update --update-strategy canary --canary 2 --image app:2 web", "two tasks first"],
      [
        "berth update --constraint node.labels.disk==ssd web",
        "elsewhere; --constraint '' lifts it",
      ],
    ],
    run: async (options, [ref = "", ...command], deps) =>
      (await import("../commands/update.ts")).update(options, ref, command, deps),
  }),
  serverCommand({
    name: "rollout status",
    group: GROUP,
    summary: "Show how far a rollout has come",
    details: "With -f: until it is over, paused, or waits to be promoted; code 1 if it failed.",
    args: "<service>",
    completes: "services",
    options: { follow: flag("-f, --watch", "Follow it"), project: PROJECT },
    examples: [
      ["berth rollout status web", "now"],
      ["berth rollout status -f web", "until it is over"],
    ],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/rollout.ts")).status(options, ref, deps),
  }),
  serverCommand({
    name: "rollout history",
    group: GROUP,
    summary: "List the revisions of a service",
    args: "<service>",
    completes: "services",
    options: { project: PROJECT },
    examples: [["berth rollout history web", "the newest first, and what each changed"]],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/rollout.ts")).history(options, ref, deps),
  }),
  serverCommand({
    name: "rollout undo",
    group: GROUP,
    summary: "Go back to an earlier revision",
    details: "No task that serves is stopped before its successor does.",
    args: "<service>",
    completes: "services",
    options: {
      to: value("--to <revision>", "Which; else the last good one", parseCount),
      project: PROJECT,
      noWait: NO_WAIT,
    },
    examples: [
      ["berth rollout undo web", "to the last good revision"],
      ["berth rollout undo --to 3 web", "to revision 3"],
    ],
    run: async ({ to, ...options }, [ref = ""], deps) =>
      (await import("../commands/rollout.ts")).steer(
        { ...options, command: { action: "undo", ...(to === undefined ? {} : { to }) } },
        ref,
        deps,
      ),
  }),
  steering("pause", "Keep a rollout from going on", "until it is resumed"),
  steering("resume", "Let a paused rollout go on", "also after a failure"),
  steering("promote", "Let a canary, or blue/green, take over", "the canary was good"),
];

function steering(action: "pause" | "resume" | "promote", summary: string, example: string) {
  return serverCommand({
    name: `rollout ${action}`,
    group: GROUP,
    summary,
    args: "<service>",
    completes: "services",
    options: { project: PROJECT, noWait: NO_WAIT },
    examples: [[`berth rollout ${action} web`, example]],
    run: async (options, [ref = ""], deps) =>
      (await import("../commands/rollout.ts")).steer(
        { ...options, command: { action } },
        ref,
        deps,
      ),
  });
}
