/**
 * What the commits of runs write beside their tasks: how far the schedule has come, how long something
 * with a deadline goes on, and the end of a run.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import type { RunCursor } from "../kv/schema/run.ts";
import type { Task } from "../kv/schema/task.ts";
import type { Action } from "./action.ts";
import type { CommitDraft as Draft } from "./commit.ts";
import type { World } from "./world.ts";

export function moveCursor(world: World, draft: Draft, serviceId: string, cursor: RunCursor): void {
  draft.op.set(key.runCursor(serviceId), cursor);
  draft.effects.push(() => {
    const record = world.services.get(serviceId);
    if (record) record.cursor = cursor;
  });
}

export function skipRun(
  world: World,
  draft: Draft,
  action: Extract<Action, { kind: "skip" }>,
): void {
  const { serviceId, cursor, why } = action;
  const service = world.services.get(serviceId)?.service;
  if (!service) return;
  moveCursor(world, draft, serviceId, cursor);
  const name = `${service.project}/${service.name}`;
  draft.events.push({ type: "run.skipped", serviceId, service: name, why });
}

export function saveElapsed(
  world: World,
  draft: Draft,
  action: Extract<Action, { kind: "elapsed" }>,
): void {
  const { serviceId, slot, revision, elapsedMs, startedAtMs } = action;
  draft.op.set(key.elapsed(serviceId, slot), { revision, elapsedMs });
  draft.effects.push(() =>
    world.services.get(serviceId)?.elapsed.set(slot, { revision, elapsedMs, startedAtMs })
  );
}

/** Deletes what is stored about a run whose last task is purged. */
export function forgetRun(world: World, draft: Draft, { serviceId, slot, runId }: Task): void {
  draft.op.delete(key.elapsed(serviceId, slot));
  if (runId !== undefined) draft.op.delete(key.run(serviceId, runId));
  draft.effects.push(() => {
    const record = world.services.get(serviceId);
    record?.elapsed.delete(slot);
    if (runId !== undefined) record?.runs.delete(runId);
  });
}
