/**
 * States in words and colours. Pure.
 *
 * @module
 */
import { isFailure, type TaskState } from "../../kv/schema/task_state.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { NodeView } from "../../kv/schema/node.ts";
import type { Paint, Style } from "./style.ts";

/** The state in a word or two: `running (healthy)`, `failed (1)`, `restarting`, `stopping`. */
export function stateText(
  task: Pick<TaskView, "state" | "desired" | "ready" | "observed">,
): string {
  const { state, desired, observed } = task;
  if (state === "failed" && observed?.exitCode !== undefined) {
    return `failed (${observed.exitCode})`;
  }
  // Between two starts in place nothing is prepared: its agent waits, and says so.
  if (state === "preparing" && /restarting in \d/.test(observed?.message ?? "")) {
    return "restarting";
  }
  if (state !== "running") return state;
  if (desired === "stop") return "stopping";
  const health = observed?.health ?? "none";
  if (health === "unhealthy") return "running (unhealthy)";
  if (!task.ready) return health === "starting" ? "running (starting)" : "running (not ready)";
  return health === "healthy" ? "running (healthy)" : state;
}

/** How far the pull of a task's image is, as its agent words it. */
export function pullText({ state, observed }: Pick<TaskView, "state" | "observed">): string {
  const said = observed?.message ?? "";
  return state === "preparing" && /^(pulling|unpacking) \d/.test(said) ? ` (${said})` : "";
}

export function statePaint(state: TaskState, style: Style): Paint {
  if (state === "running" || state === "succeeded") return style.good;
  if (isFailure(state)) return style.bad;
  return state === "stopped" ? style.dim : style.busy;
}

export function taskPaint(
  task: Pick<TaskView, "state" | "desired" | "ready" | "observed">,
  style: Style,
): Paint {
  if (task.state !== "running") return statePaint(task.state, style);
  if (task.observed?.health === "unhealthy") return style.bad;
  return task.desired === "stop" || !task.ready ? style.busy : style.good;
}

export function phasePaint(phase: ServiceView["phase"], style: Style): Paint {
  switch (phase) {
    case "running":
    case "finished":
      return style.good;
    case "failed":
      return style.bad;
    case "stopped":
      return style.dim;
    default:
      return style.busy;
  }
}

/**
 * A node's state in a word or two: cordoned and draining nodes are ready, but that is not the news; nor
 * is it of one with a taint that keeps tasks away.
 */
export function nodeState(node: Pick<NodeView, "status" | "spec" | "drain">): string {
  if (node.status.state !== "ready") return node.status.state;
  if (node.spec.availability === "active") {
    const repels = node.spec.taints.some(({ effect }) => effect !== "prefer-no-schedule");
    return repels ? "ready (tainted)" : "ready";
  }
  if (node.spec.availability === "cordon") return "cordoned";
  return node.drain?.left === 0 ? "drained" : "draining";
}

export function nodePaint(node: Pick<NodeView, "status" | "spec" | "drain">, style: Style): Paint {
  const state = nodeState(node);
  return state.startsWith("ready") ? style.good : state === "down" ? style.bad : style.busy;
}

/** Its taints, as `berth node taint` takes them: `gpu:no-schedule leaving=soon:no-execute`. */
export function taintsText({ spec }: Pick<NodeView, "spec">): string {
  return spec.taints.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`)
    .join(" ");
}

/** `name`, or `project/name` outside the default project. */
export function qualified(project: string, name: string): string {
  return project === "default" ? name : `${project}/${name}`;
}
