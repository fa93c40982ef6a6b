/**
 * Rows that belong to nothing, and work that nobody did.
 *
 * @module
 */
import { type Facts, isEnd } from "../facts.ts";

/** Rows of a service, by its id, and of a node. */
const OF_SERVICES = [
  ...["revision", "digest", "rollout", "rollout_request", "task_restarts"],
  ...["run", "run_cursor", "elapsed"],
];
const OF_NODES = ["node_spec", "node_status", "node_token", "node_restart", "report"];

export function leftovers(facts: Facts): string[] {
  const problems: string[] = [];
  for (const id of facts.rows("queue").keys()) problems.push(`message ${id} waits in the queue`);
  for (const id of facts.rows("failed").keys()) problems.push(`message ${id} failed or is parked`);
  for (const name of facts.rows("rotation").keys()) {
    problems.push(`the rotation of ${name} is not finished`);
  }
  for (const kind of OF_SERVICES) {
    for (const name of facts.rows(kind).keys()) {
      if (!facts.service(first(name))) problems.push(`${kind}/${name} has no service`);
    }
  }
  for (const kind of OF_NODES) {
    for (const name of facts.rows(kind).keys()) {
      if (!facts.node(first(name))) problems.push(`${kind}/${name} has no node`);
    }
  }
  for (const [name, id] of facts.rows("service_name")) {
    if (!facts.service(String(id))) problems.push(`service_name/${name} has no service`);
  }
  for (const [name, id] of facts.rows("node_name")) {
    if (!facts.node(String(id))) problems.push(`node_name/${name} has no node`);
  }
  return [...problems, ...claimLeftovers(facts), ...taskLeftovers(facts)];
}

/** Of ports, routes, configs and secrets. */
function claimLeftovers(facts: Facts): string[] {
  const problems: string[] = [];
  for (const kind of ["port", "route"]) {
    for (const [name, id] of facts.rows(kind)) {
      if (!facts.service(String(id))) problems.push(`${kind}/${name} has no service`);
    }
  }
  for (const { name, routes = [] } of facts.services()) {
    for (const { host, path } of routes) {
      if (!facts.rows("route").has(host + path.toLowerCase())) {
        problems.push(`the route ${host}${path} of ${name} is not noted as its own`);
      }
    }
  }
  for (const name of facts.rows("sealed_value").keys()) {
    const [kind, id] = name.split("/");
    if (!facts.rows("sealed").has(`${kind}/${id}`)) problems.push(`sealed_value/${name} is left`);
  }
  return problems;
}

function taskLeftovers(facts: Facts): string[] {
  const problems: string[] = [];
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

function first(name: string): string {
  return name.split("/")[0] ?? "";
}
