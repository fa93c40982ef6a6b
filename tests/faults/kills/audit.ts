/**
 * The verdict of a campaign: what the engine's events, the API's log and both of their present states say,
 * held against what was asked for. Pure; shares no code with the scheduler or the agent.
 *
 * @module
 */
import type { EventView } from "../../../kv/schema/event.ts";
import type { TaskView } from "../../../kv/schema/task.ts";

/** One event of the engine about a container of the campaign. */
export interface Sighting {
  atMs: number;
  action: "create" | "start" | "die";
  containerId: string;
  taskId: string;
  service: string;
  slot: number;
  exitCode?: number;
}

/** A service that was asked for, as of the last acknowledged write. */
export interface Wanted {
  name: string;
  kind: "steady" | "flaky" | "job";
  /** Tasks that are to run, or completions. */
  count: number;
  /** Marks the template. */
  version: number;
}

/** A service as the API shows it. */
export interface Shown {
  name: string;
  version: number;
  phase: string;
  running: number;
}

/** A container as the engine shows it. */
export interface Present {
  containerId: string;
  taskId: string;
  service: string;
  slot: number;
  running: boolean;
}

export interface Evidence {
  sightings: readonly Sighting[];
  /** The API's log. */
  events: readonly EventView[];
  wanted: readonly Wanted[];
  shown: readonly Shown[];
  tasks: readonly Pick<TaskView, "id" | "service" | "slot" | "state" | "desired" | "observed">[];
  present: readonly Present[];
  /** What each service is or was, also those that are gone. */
  kinds: ReadonlyMap<string, Wanted["kind"]>;
}

export interface Finding {
  kind: "lost" | "doubled" | "orphan";
  what: string;
}

const ENDS: ReadonlySet<string> = new Set(["succeeded", "failed", "stopped", "rejected", "lost"]);

/** Everything that is wrong, by kind. */
export function audit(evidence: Evidence): Finding[] {
  const lost = [...lostServices(evidence), ...lostTasks(evidence), ...lostRuns(evidence)];
  const doubled = [...doubledSlots(evidence), ...doubledStarts(evidence), ...doubledJobs(evidence)];
  const tagged = (kind: Finding["kind"]) => (what: string): Finding => ({ kind, what });
  return [
    ...lost.map(tagged("lost")),
    ...doubled.map(tagged("doubled")),
    ...orphans(evidence).map(tagged("orphan")),
  ];
}

/** Acknowledged writes that did not come true. */
function* lostServices({ wanted, shown, present }: Evidence): Generator<string> {
  const found = new Map(shown.map((service) => [service.name, service]));
  for (const { name, kind, count, version } of wanted) {
    const service = found.get(name);
    found.delete(name);
    if (!service) yield `service ${name} was acknowledged and is not there`;
    else if (service.version !== version) {
      yield `service ${name} is at version ${service.version}, not at ${version}`;
    } else if (kind === "job" && service.phase !== "finished") {
      yield `job ${name} is ${service.phase}, not finished`;
    } else if (kind === "steady") {
      const slots = new Set(
        present.filter((c) => c.running && c.service === name)
          .map((c) => c.slot),
      );
      if (service.running !== count) yield `${name}: ${service.running} of ${count} tasks run`;
      if (slots.size !== count) yield `${name}: containers run in ${slots.size} of ${count} slots`;
    }
  }
  for (const name of found.keys()) yield `service ${name} was deleted and is still there`;
}

/** Tasks that went away without an end, and those that Berth itself gave up. */
function* lostTasks({ events, tasks }: Evidence): Generator<string> {
  const listed = new Map(tasks.map((task) => [task.id, task]));
  const unended = new Set<string>();
  for (const { type, taskId, state, why } of events) {
    if (taskId === undefined) continue;
    if (type === "task.created" || type === "task.assigned") unended.add(taskId);
    if (type === "task.purged" || (state !== undefined && ENDS.has(state))) unended.delete(taskId);
    if (state === "lost") yield `task ${taskId} was given up: ${why}`;
  }
  for (const taskId of unended) {
    if (!listed.has(taskId)) yield `task ${taskId} vanished without an end`;
  }
}

/** Containers that were to run on and died nevertheless. */
function* lostRuns({ sightings, events, kinds }: Evidence): Generator<string> {
  const stopping = new Set<string>();
  for (const { type, taskId } of events) {
    if (taskId !== undefined && type === "task.stopping") stopping.add(taskId);
  }
  for (const { action, service, slot, taskId, exitCode } of sightings) {
    const kind = kinds.get(service);
    if (action !== "die" || stopping.has(taskId)) continue;
    const killed = kind === "steady" || exitCode === 137 || exitCode === 143;
    if (killed) {
      yield `${service}.${slot}: task ${taskId} died (${exitCode}), and nobody stopped it`;
    }
  }
}

/** Slots in which two containers ran at once. */
function* doubledSlots({ sightings }: Evidence): Generator<string> {
  const live = new Map<string, Map<string, string>>();
  for (const { action, service, slot, containerId, taskId } of sightings) {
    const name = `${service}.${slot}`;
    const there = live.get(name) ?? new Map<string, string>();
    live.set(name, there);
    if (action === "die") there.delete(containerId);
    if (action !== "start") continue;
    for (const [id, other] of there) {
      if (id !== containerId) yield `${name}: task ${taskId} started while task ${other} ran`;
    }
    there.set(containerId, taskId);
  }
}

/** Tasks with more containers than one, or more starts than attempts. */
function* doubledStarts({ sightings, events, tasks }: Evidence): Generator<string> {
  const attempts = new Map<string, number>();
  const known = (taskId: string, attempt = 0) =>
    attempts.set(taskId, Math.max(attempts.get(taskId) ?? 0, attempt));
  for (const { taskId, attempt } of events) if (taskId !== undefined) known(taskId, attempt);
  for (const { id, observed } of tasks) known(id, observed?.attempt);
  const creates = new Map<string, number>();
  const starts = new Map<string, number>();
  for (const { action, taskId } of sightings) {
    const counts = action === "create" ? creates : action === "start" ? starts : undefined;
    counts?.set(taskId, (counts.get(taskId) ?? 0) + 1);
  }
  for (const [taskId, count] of creates) {
    if (count > 1) yield `task ${taskId} had ${count} containers`;
  }
  for (const [taskId, count] of starts) {
    const attempt = attempts.get(taskId) ?? 0;
    if (count > attempt) yield `task ${taskId} was started ${count} times in ${attempt} attempts`;
  }
}

/** Completions of jobs that were done more than once. */
function* doubledJobs({ sightings, kinds }: Evidence): Generator<string> {
  const done = new Map<string, number>();
  for (const { action, service, slot, exitCode } of sightings) {
    if (action !== "die" || exitCode !== 0 || kinds.get(service) !== "job") continue;
    const name = `${service}.${slot}`;
    done.set(name, (done.get(name) ?? 0) + 1);
  }
  for (const [name, count] of done) if (count > 1) yield `job ${name} succeeded ${count} times`;
}

/** Containers that belong to no task. */
function* orphans({ present, tasks }: Evidence): Generator<string> {
  const known = new Set(tasks.map((task) => task.id));
  for (const { containerId, taskId, service, slot } of present) {
    if (known.has(taskId)) continue;
    yield `${service}.${slot}: container ${containerId.slice(0, 12)} of task ${taskId} is nobody's`;
  }
}
