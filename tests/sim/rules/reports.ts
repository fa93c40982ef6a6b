/**
 * Users are told how their services are doing.
 *
 * @module
 */
import { type Facts, isRunTask, type ServiceRow, type TaskRow } from "../facts.ts";

/** What the API says of a service. */
export interface ServiceReport {
  id: string;
  phase: string;
  counts: { running: number; succeeded: number };
}

/** What is told and is not so, for a cluster at rest. */
export function reports(facts: Facts, views: readonly ServiceReport[]): string[] {
  const known = new Set(views.map(({ id }) => id));
  const untold = facts.services().filter(({ id }) => !known.has(id));
  return [
    ...untold.map(({ name }) => `${name} is not told of`),
    ...views.flatMap((view) => misreported(facts, view)),
  ];
}

function misreported(facts: Facts, { id, phase, counts }: ServiceReport): string[] {
  const service = facts.service(id);
  if (!service) return [`service ${id} is told of and not there`];
  const { name, stopped, deleting } = service;
  const own = facts.tasksOf(id).filter((task) => service.mode.type !== "job" || !isRunTask(task));
  const running = own.filter((task) => facts.state(task) === "running").length;
  const problems: string[] = [];
  const expected = phaseFrom(facts, service, own);
  // Of a job that was stopped when it failed for the last time, either is true.
  const job = service.mode.type === "job";
  const either = job && stopped && ["failed", "stopped"].includes(phase);
  // A job that has ended may go by itself (`removeAfterMs`) while it is asked for.
  if (deleting && phase === "removing") return [];
  if (expected !== undefined && phase !== expected && !either) {
    problems.push(`${name} is told to be ${phase}, is ${expected}`);
  }
  if (counts.running !== running) {
    problems.push(`${name} is told to run ${counts.running} tasks, runs ${running}`);
  }
  return problems;
}

function phaseFrom(facts: Facts, service: ServiceRow, own: TaskRow[]): string | undefined {
  const { id, mode, stopped } = service;
  const live = own.filter((task) => facts.isLive(task));
  if (mode.type === "job") {
    const done = new Set(
      own.filter((task) => facts.state(task) === "succeeded").map(({ slot }) => slot),
    );
    if (done.size >= mode.completions) return "finished";
    if (live.length === 0 && facts.failures(id) > mode.retries) return "failed";
    if (mode.deadlineMs !== undefined && !stopped) return undefined;
  }
  if (stopped) return "stopped";
  // How many nodes a global service asks for is another rule's.
  if (mode.type !== "replicated") return mode.type === "job" ? "converging" : undefined;
  const ready = live.filter((task) =>
    facts.state(task) === "running" && task.revision === facts.goal(service)
  );
  const all = ready.length === mode.replicas && live.length === ready.length;
  return all ? "running" : "converging";
}
