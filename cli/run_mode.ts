/**
 * From the flags of `berth run` to a service's mode. Pure.
 *
 * @module
 */
import type { Parsed } from "./command.ts";
import type { ServiceSpecInput } from "../kv/schema/service.ts";

export interface ModeOptions {
  mode?: "replicated" | "global" | "job" | "cron" | undefined;
  replicas?: number | undefined;
  completions?: number | undefined;
  parallelism?: number | undefined;
  retries?: number | undefined;
  deadline?: number | undefined;
  schedule?: string | undefined;
  timeZone?: string | undefined;
  concurrency?: "allow" | "forbid" | "replace" | undefined;
  catchUp?: number | undefined;
  keepSucceeded?: number | undefined;
  keepFailed?: number | undefined;
}

type ModeInput = NonNullable<ServiceSpecInput["mode"]>;
type ModeName = NonNullable<ModeOptions["mode"]>;

/** Which modes each flag is for. */
const FOR: readonly [keyof ModeOptions, string, readonly ModeName[]][] = [
  ["replicas", "--replicas", ["replicated"]],
  ["completions", "--completions", ["job"]],
  ["parallelism", "--parallelism", ["job"]],
  ["retries", "--retries", ["job", "cron"]],
  ["deadline", "--deadline", ["job", "cron"]],
  ["schedule", "--schedule", ["cron"]],
  ["timeZone", "--time-zone", ["cron"]],
  ["concurrency", "--concurrency", ["cron"]],
  ["catchUp", "--catch-up", ["cron"]],
  ["keepSucceeded", "--keep-succeeded", ["cron"]],
  ["keepFailed", "--keep-failed", ["cron"]],
];

/** A foreground run, and one that is removed when it ends, is a job; a schedule makes it a cron service. */
export function modeName(options: ModeOptions, how: { detach: boolean; rm: boolean }): ModeName {
  if (options.mode) return options.mode;
  if (options.schedule !== undefined) return "cron";
  return how.detach && !how.rm ? "replicated" : "job";
}

/** `removeAfterMs` is for jobs. */
export function modeOf(
  options: ModeOptions,
  how: { detach: boolean; rm: boolean; removeAfterMs: number },
): Parsed<ModeInput> {
  const name = modeName(options, how);
  const message = misuse(options, name, how);
  if (message !== undefined) return { ok: false, message };
  const ends = {
    retries: options.retries ?? 0,
    ...(options.deadline === undefined ? {} : { deadlineMs: options.deadline }),
  };
  switch (name) {
    case "replicated":
      return { ok: true, value: { type: "replicated", replicas: options.replicas ?? 1 } };
    case "global":
      return { ok: true, value: { type: "global" } };
    case "job":
      return {
        ok: true,
        value: {
          type: "job",
          completions: options.completions ?? 1,
          ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
          ...ends,
          ...(how.rm ? { removeAfterMs: how.removeAfterMs } : {}),
        },
      };
    case "cron":
      return {
        ok: true,
        value: {
          type: "cron",
          schedule: options.schedule ?? "",
          ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
          ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
          ...(options.catchUp === undefined ? {} : { catchUpMs: options.catchUp }),
          history: {
            ...(options.keepSucceeded === undefined ? {} : { succeeded: options.keepSucceeded }),
            ...(options.keepFailed === undefined ? {} : { failed: options.keepFailed }),
          },
          ...ends,
        },
      };
  }
}

function misuse(
  options: ModeOptions,
  name: ModeName,
  { detach, rm }: { detach: boolean; rm: boolean },
): string | undefined {
  if (name !== "job" && rm) return "--rm is for jobs: what it removes is what has ended";
  if (name !== "job" && !detach) return `a ${name} service needs -d: it runs in the background`;
  for (const [field, flag, modes] of FOR) {
    if (options[field] === undefined || modes.includes(name)) continue;
    return `${flag} is for --mode ${modes.join(" or ")}, and this is a ${name} service`;
  }
  if (name === "cron" && options.schedule === undefined) {
    return "--mode cron needs --schedule, like --schedule '0 3 * * *'";
  }
  const many = options.completions ?? options.parallelism ?? options.retries;
  if (!detach && many !== undefined) {
    return "--completions, --parallelism and --retries need -d: a foreground run is one task";
  }
  return undefined;
}
