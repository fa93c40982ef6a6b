/**
 * What `berth describe` says of a service, a task or a node, line by line. Pure.
 *
 * @module
 */
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { allocatableOf, type NodeView } from "../../kv/schema/node.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { counted, memory, ports, servicePorts } from "./quantity.ts";
import { nodeState, qualified, stateText, taintsText } from "./state.ts";

export type Field = readonly [name: string, text: string];

export interface Failure {
  task: string;
  taskId: string;
  state: TaskView["state"];
  exitCode?: number;
  oomKilled?: boolean;
  message?: string;
  at?: string;
  /** The last lines of its output, and why there are no more of them, if so. */
  log: string[];
  logMissing?: string;
}

/** Fields without a text are left out. */
function present(fields: readonly (readonly [string, string | undefined])[]): Field[] {
  return fields.filter((field): field is Field => field[1] !== undefined && field[1] !== "");
}

function amounts({ cpus, memoryMiB }: { cpus: number; memoryMiB: number }): string {
  return [cpus > 0 ? `${cpus} cores` : "", memoryMiB > 0 ? memory(memoryMiB) : ""]
    .filter((text) => text !== "").join(", ");
}

function modeText({ mode }: ServiceView): string {
  switch (mode.type) {
    case "replicated":
      return `replicated, ${mode.replicas} wanted`;
    case "global":
      return "global, one task on each node";
    case "job":
      return `job, ${mode.completions} to complete, ${mode.parallelism} at a time`;
    case "cron":
      return `cron, ${mode.schedule}`;
  }
}

export function serviceFields(service: ServiceView): Field[] {
  const { template, rollout, counts, update } = service;
  const { command, entrypoint, env, mounts, secrets, configs } = template;
  return present([
    ["Service", qualified(service.project, service.name)],
    ["Id", service.id],
    ["Mode", modeText(service)],
    ["State", `${service.phase}: ${counts.running} running, ${counts.ready} ready`],
    ["Revision", `${service.revision}, changed ${service.updatedAt}`],
    [
      "Rollout",
      rollout &&
      `${rollout.state}${
          rollout.goal === rollout.revision ? "" : ` to revision ${rollout.goal}`
        }, ${rollout.updated} of ${rollout.total} slots` +
        (rollout.why ? `: ${rollout.why}` : ""),
    ],
    ["Image", template.image],
    ["Entrypoint", entrypoint?.join(" ")],
    ["Command", command?.join(" ")],
    // Values may be secret; berth inspect has them.
    ["Variables", Object.keys(env).join(" ")],
    ["Ports", servicePorts(service)],
    ["Reserves", amounts(template.reserve)],
    ["Limits", amounts(template.limit)],
    ["Mounts", mounts.map(({ target }) => target).join(" ")],
    ["Secrets", secrets.map(({ source }) => source).join(" ")],
    ["Configs", configs.map(({ source }) => source).join(" ")],
    ["Restart", template.restart.condition],
    ["Update", `${update.strategy}, ${update.order}, ${update.parallelism} at a time`],
    ["Labels", labels(service.labels)],
  ]);
}

export function taskFields(task: TaskView): Field[] {
  const { observed } = task;
  const started = observed?.startedAt;
  return present([
    ["Task", qualified(task.project, task.name)],
    ["Id", task.id],
    ["State", `${stateText(task)}${task.desired === "stop" ? ", shall stop" : ""}`],
    ["Node", task.node],
    ["Image", task.image],
    ["Revision", String(task.revision)],
    ["Created", task.createdAt],
    ["Started", started && `${started}, start ${observed.attempt}`],
    ["Ended", observed?.finishedAt],
    ["Exit code", observed?.exitCode?.toString()],
    ["Ports", ports(task, true)],
    ["Container", observed?.containerId],
    ["Note", observed?.message ?? task.why],
  ]);
}

export function nodeFields(node: NodeView): Field[] {
  const allocatable = allocatableOf(node);
  return present([
    ["Node", node.name],
    ["Id", node.id],
    ["State", `${nodeState(node)} since ${node.status.since}: ${node.status.why}`],
    ["Address", node.address],
    ["Engine", `${node.engine} on ${node.os}/${node.arch}, agent ${node.agentVersion}`],
    ["Has", amounts(allocatable)],
    ["Reserved", `${amounts(node.allocated) || "nothing"} by ${counted(node.tasks, "task")}`],
    ["Pool", node.spec.pool],
    ["Labels", labels({ ...node.labels, ...node.spec.labels })],
    ["Taints", taintsText(node)],
    ["Failing", Object.values(node.status.failing ?? {}).join("; ")],
    ["Joined", node.joinedAt],
  ]);
}

function labels(all: Record<string, string>): string {
  return Object.entries(all).map(([key, value]) => `${key}=${value}`).join(" ");
}

export function endpointLines(service: ServiceEndpoints): string[] {
  return service.endpoints.map(({ slot, state, address, ports }) => {
    const places = ports.map(({ port, target }) => `${address}:${port}→${target}`).join(", ");
    return `${service.name}.${slot}  ${state}  ${places || "-"}`;
  });
}

export function failureLines(failure: Failure): string[] {
  const { task, state, exitCode, oomKilled, message, at, log, logMissing } = failure;
  const code = exitCode === undefined ? "" : `, exit code ${exitCode}`;
  const killed = oomKilled ? ", killed for its memory" : "";
  const said = log.length === 0 ? [] : ["", ...log.map((line) => `│ ${line}`)];
  return [
    `${task} ${state}${code}${killed}${at ? ` at ${at}` : ""}${message ? `: ${message}` : ""}`,
    ...said,
    ...logMissing ? [`(its output cannot be had: ${logMissing})`] : [],
  ];
}
