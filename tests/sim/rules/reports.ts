/**
 * Users are told how their services are doing.
 *
 * @module
 */
import { type Facts, isEnd, type ServiceRow } from "../facts.ts";

/** What the API says of a service. */
export interface ServiceReport {
  id: string;
  phase: string;
  counts: { running: number; succeeded: number };
}

/** What is told and is not so, for a cluster at rest. */
export function reports(facts: Facts, views: readonly ServiceReport[]): string[] {
  return views.flatMap(({ id, phase, counts }) => {
    const service = facts.service(id);
    if (!service) return [`service ${id} is told of and not there`];
    const tasks = facts.tasks().filter((task) => task.serviceId === id);
    const states = tasks.map((task) => facts.state(task));
    const running = states.filter((state) => state === "running").length;
    const problems: string[] = [];
    const expected = phaseFrom(facts, service);
    // Of a job that was stopped when it failed for the last time, either is true.
    const either = expected === "failed" && service.stopped && phase === "stopped";
    if (phase !== expected && !either) {
      problems.push(`${service.name} is told to be ${phase}, is ${expected}`);
    }
    if (counts.running !== running) {
      problems.push(`${service.name} is told to run ${counts.running} tasks, runs ${running}`);
    }
    return problems;
  });
}

function phaseFrom(facts: Facts, service: ServiceRow): string {
  const { id, mode, stopped, revision } = service;
  const tasks = facts.tasks().filter((task) => task.serviceId === id);
  const live = tasks.filter((task) => !isEnd(facts.state(task)));
  if (mode.type === "job") {
    const done = new Set(
      tasks.filter((task) => facts.state(task) === "succeeded").map(({ slot }) => slot),
    );
    if (done.size >= mode.completions) return "finished";
    if (live.length === 0 && facts.failures(id) > mode.retries) return "failed";
  }
  if (stopped) return "stopped";
  const ready = live.filter((task) =>
    facts.state(task) === "running" && task.revision === revision
  );
  const all = mode.type === "replicated" && ready.length === mode.replicas &&
    live.length === ready.length;
  return all ? "running" : "converging";
}
