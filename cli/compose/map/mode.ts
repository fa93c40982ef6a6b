/**
 * How many tasks, and for how long: `deploy.mode`, `scale`, `restart`. Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import { ComposeError, get, type Tree } from "../tree.ts";
import { durationAt, numberAt, present, textAt } from "./read.ts";

type Mode = NonNullable<ServiceSpecInput["mode"]>;
type Restart = NonNullable<ServiceSpecInput["template"]["restart"]>;

export interface Running {
  mode: Mode;
  restart: Restart;
}

/** `awaited`: another service waits for this one to complete. */
export function runningOf(service: Tree, { awaited }: { awaited: boolean }): Running {
  const replicas = replicasOf(service);
  const restart = restartOf(service);
  const mode = textAt(service, "deploy", "mode") ?? "replicated";
  const ends = {
    ...restart,
    condition: restart?.condition === "none" ? "none" : "on-failure",
  } as const;
  const asJob = {
    mode: { type: "job", completions: replicas, parallelism: replicas } as const,
    restart: ends,
  };
  switch (mode) {
    case "global":
      return { mode: { type: "global" }, restart: restart ?? { condition: "any" } };
    case "global-job":
      return { mode: { type: "global" }, restart: ends };
    case "replicated-job":
      return asJob;
    default: {
      // A job's tasks get no traffic.
      const serves = get(service, "ports") ?? get(service, "expose");
      const once = textAt(service, "restart") === "no" && !get(service, "deploy", "restart_policy");
      if (replicas === 0) {
        return { mode: { type: "replicated", replicas }, restart: restart ?? { condition: "any" } };
      }
      if (once && !serves) return { ...asJob, restart: { condition: "none" } };
      if (awaited) return { ...asJob, restart: restart ? ends : { condition: "none" } };
      return { mode: { type: "replicated", replicas }, restart: restart ?? { condition: "any" } };
    }
  }
}

function replicasOf(service: Tree): number {
  const scale = numberAt(service, "scale");
  const replicas = numberAt(service, "deploy", "replicas");
  if (scale !== undefined && replicas !== undefined && scale !== replicas) {
    throw new ComposeError(
      `scale says ${scale} and deploy.replicas says ${replicas}`,
      get(service, "scale")?.at,
      "keep one of them",
    );
  }
  return replicas ?? scale ?? 1;
}

/** The words of `restart` stand for those of Swarm. */
const CONDITIONS: Record<string, "any" | "on-failure" | "none"> = {
  "none": "none",
  "no": "none",
  "on-failure": "on-failure",
};

/** `deploy.restart_policy` comes before `restart`, as in Compose. */
function restartOf(service: Tree): Restart | undefined {
  const policy = get(service, "deploy", "restart_policy");
  if (policy) {
    return {
      condition: CONDITIONS[textAt(policy, "condition") ?? "any"] ?? "any",
      ...present({
        delayMs: durationAt(policy, "delay"),
        maxAttempts: numberAt(policy, "max_attempts"),
        windowMs: durationAt(policy, "window"),
      }),
    };
  }
  const text = textAt(service, "restart");
  if (text === undefined) return undefined;
  const match = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text);
  if (!match || (match[2] !== undefined && match[1] !== "on-failure")) {
    throw new ComposeError(
      `restart: must be no, always, unless-stopped or on-failure[:TIMES], found "${text}"`,
      get(service, "restart")?.at,
    );
  }
  if (match[1] === "no") return { condition: "none" };
  if (match[1] !== "on-failure") return { condition: "any" };
  return {
    condition: "on-failure",
    ...(match[2] === undefined ? {} : { maxAttempts: Number(match[2]) }),
  };
}
