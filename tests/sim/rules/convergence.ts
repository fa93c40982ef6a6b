/**
 * What a cluster looks like that was left alone for long enough: as its users asked, with nothing left
 * over.
 *
 * @module
 */
import type { FinalNode } from "../checker.ts";
import { type Facts, isEnd, isRunTask, type ServiceRow, type TaskRow } from "../facts.ts";
import { isBroken } from "../specs.ts";
import { evicts, refusal } from "./fit.ts";
import { leftovers } from "./leftovers.ts";
import { nodesThatFit } from "./room.ts";

/** What is not as it shall be; empty when all is. */
export function convergence(facts: Facts, nodes: readonly FinalNode[]): string[] {
  const running = new Set<string>();
  for (const { containers } of nodes) {
    for (const { taskId, state } of containers) if (state === "running") running.add(taskId);
  }
  return [
    ...facts.services().flatMap((service) => unsettledService(facts, service, running)),
    ...nodes.flatMap((node) => unsettledNode(facts, node)),
    ...leftovers(facts),
  ];
}

function unsettledService(
  facts: Facts,
  service: ServiceRow,
  running: ReadonlySet<string>,
): string[] {
  const { id, name } = service;
  if (service.deleting) return [`service ${name} is still there`];
  const live = facts.tasksOf(id).filter((task) => facts.isLive(task));
  const problems = live.flatMap((task) => unsettledTask(facts, service, task, running));
  if (service.stopped) {
    return live.length > 0
      ? [...problems, `${name} is stopped and has ${live.length} tasks`]
      : problems;
  }
  switch (service.mode.type) {
    case "replicated":
      return [...problems, ...unsettledReplicas(facts, service, live)];
    case "global":
      return [...problems, ...unsettledNodes(facts, service, live)];
    case "job":
      return [...problems, ...unsettledJob(facts, service, live)];
    case "cron":
      return [...problems, `cron service ${name} goes on`];
  }
}

function unsettledReplicas(facts: Facts, service: ServiceRow, live: TaskRow[]): string[] {
  const { name, mode } = service;
  if (mode.type !== "replicated") return [];
  const problems: string[] = [];
  const rollout = facts.rollout(service.id);
  const goal = facts.goal(service);
  // A roll-out stops nothing that runs while another of the service's tasks has no room.
  const held = live.some((task) => task.nodeId === undefined);
  const open = rollout && !["done", "rolled-back"].includes(rollout.state);
  if (open && !held) problems.push(`the rollout of ${name} is ${rollout.state}`);
  for (const task of held ? [] : live) {
    if (task.revision !== goal) {
      problems.push(`${name}.${task.slot} (${task.id}) has revision ${task.revision}, not ${goal}`);
    }
  }
  // Starting first, an old task stays beside the new one that waits for room.
  const slots = new Set(live.map(({ slot }) => slot));
  const failing = held ? failingBesideCanary(facts, service, live) : [];
  const accounted = slots.union(new Set(failing)).size;
  if (accounted !== mode.replicas || (!held && live.length !== mode.replicas)) {
    problems.push(`${name} has ${live.length} tasks in ${slots.size} slots of ${mode.replicas}`);
  }
  return problems;
}

/**
 * Slots in which an old task that always fails waits to be tried again, beside a whole canary that waits
 * for room. Until that is promoted no further slot may have the new revision (slots.ts), so that such a
 * slot is never done with failing.
 */
function failingBesideCanary(facts: Facts, service: ServiceRow, live: TaskRow[]): number[] {
  const { id, revision, mode } = service;
  const rollout = facts.rollout(id);
  const wanted = mode.type === "replicated" ? mode.replicas : 0;
  const changed = new Set(live.filter((one) => one.revision === revision).map(({ slot }) => slot));
  if (!rollout || changed.size !== facts.canary(service)) return [];
  const old = facts.template(id, rollout.stable);
  if (!old || !isBroken(old)) return [];
  const newest = new Map<number, TaskRow>();
  for (const task of facts.tasksOf(id)) {
    if (task.slot > wanted) continue;
    if (task.id > (newest.get(task.slot)?.id ?? "")) newest.set(task.slot, task);
  }
  return [...newest.values()].filter((task) =>
    task.revision === rollout.stable && task.desired === "run" && facts.state(task) === "failed"
  ).map(({ slot }) => slot);
}

/** A global service has a task on each node that it asks for. */
function unsettledNodes(facts: Facts, service: ServiceRow, live: TaskRow[]): string[] {
  const { name, revision } = service;
  const placement = facts.template(service.id, revision)?.placement;
  if (!placement) return [`${name} has no template`];
  const problems: string[] = [];
  for (const node of facts.nodes()) {
    const { availability, taints } = facts.nodeSpec(node.id);
    const tasks = live.filter(({ nodeId, pin }) => (nodeId ?? pin) === node.id);
    const refused = refusal(facts, node.id, placement);
    const wanted = refused === undefined && availability === "active";
    if (wanted && tasks.length !== 1) {
      problems.push(`${name} has ${tasks.length} tasks on ${node.name}`);
    }
    const banned = availability === "drain" || taints.some((taint) => evicts(taint, placement)) ||
      (refused !== undefined && !refused.startsWith("has taint"));
    if (banned && tasks.length > 0) problems.push(`${name} has a task on ${node.name}: ${refused}`);
    const waits = live.some((task) => task.nodeId === undefined);
    for (const task of waits ? [] : tasks) {
      if (task.revision !== revision) problems.push(`${name} on ${node.name} is outdated`);
    }
  }
  return problems;
}

function unsettledJob(facts: Facts, service: ServiceRow, live: TaskRow[]): string[] {
  const { id, name, mode, revision } = service;
  if (mode.type !== "job") return [];
  const own = facts.tasksOf(id).filter((task) => !isRunTask(task));
  const done = new Set(
    own.filter((task) => facts.state(task) === "succeeded").map(({ slot }) => slot),
  );
  const elapsed = facts.rows("elapsed").get(`${id}/0`) as
    | { revision: number; elapsedMs: number }
    | undefined;
  const late = mode.deadlineMs !== undefined && elapsed?.revision === revision &&
    elapsed.elapsedMs >= mode.deadlineMs;
  const failures = facts.failures(id);
  const over = done.size >= mode.completions || failures > mode.retries || late;
  const waits = live.length > 0 && live.every((task) => task.nodeId === undefined);
  if (live.length > 0 && !waits) return [`job ${name} is not finished`];
  if (live.length > 0 || over) return [];
  return [`job ${name}: ${done.size} of ${mode.completions} done, ${failures} failed`];
}

function unsettledTask(
  facts: Facts,
  service: ServiceRow,
  task: TaskRow,
  running: ReadonlySet<string>,
): string[] {
  const what = `${service.name}.${task.slot} (${task.id})`;
  const state = facts.state(task);
  if (task.desired !== "run") return [`${what} shall stop and is ${state}`];
  if (facts.restarted.has(task.id)) return [`${what} was to be restarted, and goes on`];
  if (task.disconnected) return [`${what} is put aside`];
  if (service.mode.type === "replicated" && task.slot > service.mode.replicas) {
    return [`${what} is above ${service.mode.replicas}`];
  }
  if (task.nodeId === undefined) {
    const fits = nodesThatFit(facts, task);
    if (fits.length > 0) return [`${what} waits (${task.why}), and fits on ${fits.join(", ")}`];
    return task.why ? [] : [`${what} waits for no stated reason`];
  }
  if (state !== "running") return [`${what} is ${state}`];
  if (!running.has(task.id)) return [`${what} is said to run, and no container does`];
  const seen = facts.observed(task.id);
  const { availability, taints } = facts.nodeSpec(task.nodeId);
  const placement = facts.template(service.id, task.revision)?.placement;
  if (availability === "drain") return [`${what} runs on a node that is drained`];
  // All nodes have deadlines of some seconds here, after which budgets keep nothing any more.
  if (placement && taints.some((taint) => evicts(taint, placement))) {
    return [`${what} runs on a node that evicts it`];
  }
  const well = seen?.health !== "unhealthy" && seen?.health !== "starting" && seen?.ready !== false;
  return well ? [] : [`${what} runs and is not well: ${seen?.message ?? seen?.health}`];
}

function unsettledNode(facts: Facts, { name, nodeId, containers }: FinalNode): string[] {
  const problems: string[] = [];
  const status = facts.rows("node_status").get(nodeId) as { state: string } | undefined;
  if (status?.state !== "ready") problems.push(`node ${name} is ${status?.state ?? "unknown"}`);
  for (const { taskId, state, nodeId: label } of containers) {
    const task = facts.task(taskId);
    const owned = task?.nodeId === nodeId && label === nodeId &&
      facts.rows("assign").has(`${nodeId}/${taskId}`);
    if (!owned) problems.push(`${name} has an orphan container of task ${taskId}`);
    else if (state === "running" && isEnd(facts.state(task))) {
      problems.push(`${name} runs task ${taskId}, which is ${facts.state(task)}`);
    }
  }
  return problems;
}
