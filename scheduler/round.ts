/**
 * One round of the leader: plan what is dirty, commit what was planned.
 *
 * @module
 */
import type { LogRecord } from "../kv/schema/event.ts";
import { messageOf } from "../kv/store.ts";
import type { Plan, PlanOptions, Scope } from "./action.ts";
import { ACTIONS_PER_COMMIT, applyBatch, batchLength } from "./apply.ts";
import { applyToService, isServiceAction } from "./apply_services.ts";
import { attended, failBroken } from "./intake.ts";
import { plan } from "./plan.ts";
import type { Context } from "./term.ts";
import type { World } from "./world.ts";

const PLAN_LIMIT = 1000;
const EVENTS_PER_COMMIT = 100;
const CONSUMED_PER_COMMIT = 60;

/** Plans what is dirty. What the limit cut stays dirty, behind what was not looked at yet. */
export function planRound(context: Context): Plan {
  const { deps, term } = context;
  const nowMs = deps.clock.monoMs();
  const options: PlanOptions = {
    nodeTtlMs: context.nodeTtlMs,
    heardMs: term.beatsAtMs,
    limit: PLAN_LIMIT,
    historyLimit: deps.historyLimit,
    wallMs: deps.clock.wallMs(),
  };
  // Nodes are judged on fresh beats only; the others stay dirty, so that the next tick comes at once.
  const judged = attended(term, nowMs) ? [...term.dirtyNodes].sort() : [];
  const scope = { services: [...term.dirtyServices], nodes: judged };
  let planned: Plan;
  try {
    planned = plan(term.world, nowMs, scope, options);
  } catch (error) {
    isolate(context, scope, options, error);
    return { actions: [], more: true, unfinished: [], wakes: new Map() };
  }
  for (const nodeId of judged) term.dirtyNodes.delete(nodeId);
  term.dirtyServices = new Set(fairOrder(term.world, planned));
  const { services, nodes } = term.wakes;
  for (const [what, atMs] of planned.wakes) {
    (term.world.nodes.has(what) ? nodes : services).set(what, atMs);
  }
  return planned;
}

/** The unfinished services, those first that got nothing in this round. */
function fairOrder(world: World, planned: Plan): string[] {
  const served = new Set<string>();
  for (const action of planned.actions) {
    if ("serviceId" in action) served.add(action.serviceId);
    else if ("taskId" in action) {
      const task = world.tasks.get(action.taskId)?.task;
      if (task) served.add(task.serviceId);
    }
  }
  return [
    ...planned.unfinished.filter((id) => !served.has(id)),
    ...planned.unfinished.filter((id) => served.has(id)),
  ];
}

/** Finds what makes the planner throw and takes it out of this term's work (tick.ts, invariant 4). */
function isolate(
  context: Context,
  scope: { services: string[]; nodes: string[] },
  options: PlanOptions,
  error: unknown,
): void {
  const { deps, term } = context;
  const nowMs = deps.clock.monoMs();
  const throws = (part: Scope): unknown => {
    try {
      plan(term.world, nowMs, part, options);
      return undefined;
    } catch (cause) {
      return cause;
    }
  };
  let found = false;
  for (const id of scope.services) {
    const cause = throws({ services: [id], nodes: [] });
    if (cause === undefined) continue;
    found = true;
    term.dirtyServices.delete(id);
    term.broken.set(id, messageOf(cause));
    deps.log("error", "planning failed", { service: id, error: messageOf(cause) });
  }
  for (const id of scope.nodes) {
    const cause = throws({ services: [], nodes: [id] });
    if (cause === undefined) continue;
    found = true;
    term.dirtyNodes.delete(id);
    term.broken.set(id, messageOf(cause));
    deps.log("error", "planning failed", { node: id, error: messageOf(cause) });
  }
  if (!found) throw error;
}

/**
 * Commits what was planned in batches. Wake-ups go last: what they led to is done and in the log then, so
 * that none of it is lost with a leader that dies between two commits. False when the lease is gone.
 */
export async function commitRound(context: Context, planned: Plan): Promise<boolean> {
  const { deps, term } = context;
  const finished = !planned.more;
  if (finished) await failBroken(context);
  const onServices = planned.actions.filter(isServiceAction);
  const actions = planned.actions.filter((action) => !isServiceAction(action));
  const consumed = finished ? [...term.inFlight.keys()] : [];
  let at = 0;
  do {
    const rest = actions.slice(at, at + ACTIONS_PER_COMMIT);
    const batch = rest.slice(0, batchLength(term.world, rest));
    at += Math.max(1, batch.length);
    const events = term.events.splice(0, EVENTS_PER_COMMIT);
    const last = at >= actions.length;
    const told = term.events.length === 0;
    const gone = last && told ? consumed.splice(0, CONSUMED_PER_COMMIT) : [];
    if (batch.length === 0 && events.length === 0 && gone.length === 0) break;
    if (deps.breathe) await deps.breathe();
    const options = { lease: term.lease, seq: term.seq + 1 };
    const done = await applyBatch(
      deps,
      term.world,
      { actions: batch, consumed: gone, events },
      options,
    );
    if (!done.ok) return false;
    tell(context, done.records);
    for (const messageId of gone) {
      term.inFlight.delete(messageId);
      term.retryAtMs.delete(messageId);
    }
  } while (at < actions.length || consumed.length > 0 || term.events.length > 0);
  for (const action of onServices) {
    const done = await applyToService(deps, term.world, action, {
      lease: term.lease,
      seq: term.seq + 1,
    });
    if (!done.ok) return false;
    tell(context, done.records);
  }
  return true;
}

/** Counts the records of a commit, and tells those in this process who wait for them. */
function tell({ deps, term }: Context, records: readonly LogRecord[]): void {
  for (const record of records) {
    term.seq++;
    deps.onLogged?.({ seq: term.seq, record });
  }
}
