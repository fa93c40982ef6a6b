/**
 * What a cluster looks like that was left alone for long enough: as its users asked, with nothing left
 * over.
 *
 * @module
 */
import type { FinalNode } from "../checker.ts";
import { type Facts, heldOf, isEnd, type ServiceRow, type TaskRow } from "../facts.ts";

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
  const { id, name, mode } = service;
  if (service.deleting) return [`service ${name} is still there`];
  const tasks = facts.tasks().filter((task) => task.serviceId === id);
  const live = tasks.filter((task) => !isEnd(facts.state(task)));
  const problems = live.flatMap((task) => unsettledTask(facts, service, task, running));
  // A roll-out stops nothing that runs while another of the service's tasks has no room.
  const held = live.some((task) => task.nodeId === undefined);
  if (service.mode.type === "replicated" && !held) {
    for (const task of live) {
      if (task.revision !== service.revision) {
        problems.push(`${name}.${task.slot} (${task.id}) is of revision ${task.revision}`);
      }
    }
  }
  const wanted = service.stopped ? 0 : mode.type === "replicated" ? mode.replicas : undefined;
  if (wanted !== undefined) {
    // Starting first, an old task stays beside the new one that waits for room.
    const slots = new Set(live.map(({ slot }) => slot)).size;
    if (slots !== wanted || (!held && live.length !== wanted)) {
      problems.push(`${name} has ${live.length} tasks in ${slots} slots of ${wanted}`);
    }
  } else if (mode.type === "job") {
    const done = new Set(
      tasks.filter((task) => facts.state(task) === "succeeded").map(({ slot }) => slot),
    );
    const failures = facts.failures(id);
    const over = done.size >= mode.completions || failures > mode.retries;
    const waits = live.length > 0 && live.every((task) => task.nodeId === undefined);
    if (live.length > 0 && !waits) problems.push(`job ${name} is not finished`);
    if (live.length === 0 && !over) {
      problems.push(`job ${name}: ${done.size} of ${mode.completions} done, ${failures} failed`);
    }
  }
  return problems;
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
  if (service.mode.type === "replicated" && task.slot > service.mode.replicas) {
    return [`${what} is above ${service.mode.replicas}`];
  }
  if (task.nodeId === undefined) {
    const fits = nodesThatFit(facts, task);
    if (fits.length > 0) return [`${what} waits (${task.why}), and fits on ${fits.join(", ")}`];
    return task.why ? [] : [`${what} waits for no stated reason`];
  }
  if (state !== "running") return [`${what} is ${state}`];
  return running.has(task.id) ? [] : [`${what} is said to run, and no container does`];
}

/** Where a pending task could go, by a computation of its own. */
function nodesThatFit(facts: Facts, task: TaskRow): string[] {
  const template = facts.template(task.serviceId, task.revision);
  if (!template) return [];
  return facts.nodes().filter((node) => {
    const { labels, availability } = facts.nodeSpec(node.id);
    const status = facts.rows("node_status").get(node.id) as { state: string } | undefined;
    const held = heldOf(facts, node.id);
    const { reserve, ports, placement } = template;
    return availability === "active" && status?.state === "ready" &&
      (placement.node === undefined || [node.id, node.name].includes(placement.node)) &&
      Object.entries(placement.labels).every(([name, value]) => labels[name] === value) &&
      held.milliCpus + Math.round(reserve.cpus * 1000) <= node.capacity.cpus * 1000 &&
      held.memoryMiB + reserve.memoryMiB <= node.capacity.memoryMiB &&
      ports.every((p) =>
        p.published === undefined || p.mode !== "host" ||
        !held.ports.has(`${p.protocol}/${p.published}`)
      );
  }).map(({ name }) => name);
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

/** Rows that belong to nothing, and work that nobody did. */
function leftovers(facts: Facts): string[] {
  const problems: string[] = [];
  for (const id of facts.rows("queue").keys()) problems.push(`message ${id} waits in the queue`);
  for (const id of facts.rows("failed").keys()) problems.push(`message ${id} failed or is parked`);
  for (const name of facts.rows("task_of").keys()) {
    if (!facts.task(name.split("/")[1] ?? "")) problems.push(`task_of/${name} has no task`);
  }
  for (const name of facts.rows("assign").keys()) {
    const [nodeId, taskId = ""] = name.split("/");
    if (facts.task(taskId)?.nodeId !== nodeId) problems.push(`assign/${name} has no task`);
  }
  for (const taskId of facts.rows("observed").keys()) {
    if (!facts.task(taskId)) problems.push(`observed/${taskId} has no task`);
  }
  for (const name of facts.rows("revision").keys()) {
    if (!facts.service(name.split("/")[0] ?? "")) problems.push(`revision/${name} has no service`);
  }
  for (const [name, id] of facts.rows("service_name")) {
    if (!facts.service(String(id))) problems.push(`service_name/${name} has no service`);
  }
  for (const task of facts.tasks()) {
    if (!facts.service(task.serviceId)) problems.push(`task ${task.id} has no service`);
    if (!facts.rows("task_of").has(`${task.serviceId}/${task.id}`)) {
      problems.push(`task ${task.id} is not in its service's list`);
    }
    if (!isEnd(facts.state(task)) && task.nodeId !== undefined) {
      if (!facts.rows("assign").has(`${task.nodeId}/${task.id}`)) {
        problems.push(`task ${task.id} is not in its node's list`);
      }
    }
  }
  return problems;
}
