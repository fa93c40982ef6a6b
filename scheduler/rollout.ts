/**
 * Stopping tasks that could go on: those of an older revision (how, rollout/ says; a global service goes
 * node by node), and those on nodes that are being drained or that have a `no-execute` taint which they
 * do not tolerate. Their slots are filled again by the planning that follows.
 *
 * 1. Drains have a budget (drain.ts). Beside one, nothing else of the service is stopped.
 * 2. Node by node: nothing that is ready is stopped while another task of the service is on its way, up
 *    or down, or lacks its place.
 * 3. A task that is not ready serves nobody and is stopped at once.
 *
 * @module
 */
import { isReady, type Task } from "../kv/schema/task.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import { drainNext, tasksToDrain } from "./drain.ts";
import { type Draft, overlay, stop } from "./draft.ts";
import type { Filling } from "./fill.ts";
import { requestOf } from "./overlay.ts";
import { fitsSomewhere } from "./place.ts";
import type { Policy } from "./policy.ts";
import { stopIdleOld, stopOld } from "./rollout/course.ts";
import type { Course } from "./rollout/moves.ts";
import { evicting, taintText } from "./rules/taints.ts";
import { ascending } from "./slots.ts";
import { whyNowhere } from "./why.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** Stops the tasks that a user wants replaced: new ones follow at once, whatever the policy is. */
export function stopAsked(draft: Draft, record: ServiceRecord): void {
  for (const taskId of record.restarts) {
    const task = draft.world.tasks.get(taskId);
    if (!task || task.task.desired === "stop" || isTerminal(task.state)) continue;
    if (!stop(draft, record, taskId, "a restart was asked for")) return;
  }
}

/** Stops what is outdated or on a draining node and is not ready: invariant 3. */
export function stopIdle(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  course?: Course,
): void {
  const { goal, slots, live } = record;
  if (course) stopIdleOld(draft, record, course);
  else if (slots.outdated.size > 0 && (slots.starting > 0 || slots.waiting.size > 0)) {
    for (const slot of ascending(slots.outdated)) {
      if (slot > policy.wanted) break;
      for (const { task, state, observed } of live.get(slot) ?? []) {
        if (task.desired === "stop" || task.revision === goal) continue;
        if (state !== "pending" && (isReady(state, observed) || !policy.rolls)) continue;
        if (!stop(draft, record, task.id, outdated(record))) return;
      }
    }
  }
  if (slots.starting === 0) return;
  for (const { task, state, observed } of tasksToDrain(draft, record)) {
    if (isReady(state, observed) || draft.stopped.has(task.id)) continue;
    if (!stop(draft, record, task.id, draining(draft, record, task))) return;
  }
}

/** Stops what is ready, if it is the time for it: invariants 1 and 2. */
export function stopNext(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  { filling, course }: { filling: Filling; course: Course | undefined },
): void {
  const whyOf = ({ task }: TaskRecord, how: { overdue: boolean }) =>
    draining(draft, record, task, how);
  if (drainNext(draft, record, policy, { whyOf, surged: filling.surged })) return;
  if (course) return stopOld(draft, record, course);
  const { slots } = record;
  if (slots.stopping > 0 || draft.disturbed.has(record.service.id)) return;
  if (!policy.rolls || slots.starting > 0 || filling.placed > 0 || filling.waiting > 0) return;
  const rolled = firstOutdated(record, policy.wanted);
  if (rolled) stop(draft, record, rolled.task.id, outdated(record));
}

function firstOutdated({ slots, live, goal }: ServiceRecord, wanted: number) {
  let first = Infinity;
  for (const slot of slots.outdated) if (slot < first) first = slot;
  if (first > wanted) return undefined;
  return live.get(first)?.find(({ task }) => task.desired === "run" && task.revision !== goal);
}

function outdated({ goal }: ServiceRecord): string {
  return `replaced by revision ${goal}`;
}

function draining(
  draft: Draft,
  record: ServiceRecord,
  { nodeId, revision }: Task,
  { overdue } = { overdue: false },
): string {
  const node = nodeId === undefined ? undefined : draft.world.nodes.get(nodeId);
  const template = record.templates.get(record.goal);
  const own = record.templates.get(revision);
  const [taint] = node && own && node.spec.availability !== "drain"
    ? evicting(node, own.placement.tolerations)
    : [];
  const cause = taint ? `has taint ${taintText(taint)}` : "is being drained";
  const patience = overdue ? ", and its deadline has passed" : "";
  const why = `node ${node?.node.name ?? nodeId} ${cause}${patience}`;
  if (!template) return why;
  const request = requestOf(record.service.id, template);
  if (fitsSomewhere(overlay(draft), request)) return why;
  return `${why}; there is no room elsewhere: ${whyNowhere(overlay(draft), request)}`.slice(
    0,
    1024,
  );
}
