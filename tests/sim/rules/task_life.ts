/**
 * A task's state moves only forwards, along the table below; what was decided about a task stays; a
 * task ends once and is purged only then; its id is new, and greater than those of the tasks there are.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import { type Commit, isEnd, type ObservedRow, stateFrom, type TaskRow } from "../facts.ts";

/** From a state to those that may follow it directly, within an attempt. Written out by hand. */
const NEXT: Record<string, readonly string[]> = {
  pending: ["assigned", "stopped"],
  assigned: ["preparing", "stopped", "rejected", "lost"],
  preparing: ["starting", "stopped", "rejected", "failed", "lost"],
  starting: ["running", "succeeded", "failed", "stopped", "rejected", "lost"],
  // An agent that lost its state begins anew with what was running, and may be refused it.
  running: ["succeeded", "failed", "stopped", "rejected", "lost"],
};

const FIXED = [
  "id",
  "serviceId",
  "revision",
  "slot",
  "createdAt",
  "failures",
  "pin",
  "runId",
] as const;

/** Reports may skip what nobody saw. */
function leads(from: string, to: string): boolean {
  return from === to || (NEXT[from] ?? []).some((next) => leads(next, to));
}

export function taskLife({ facts, broken }: RuleContext): Rule {
  const used = new Set<string>();
  /** The tasks of the commit that is looked at: they come to be at once. */
  let minted: ReadonlySet<string> = new Set();

  function checkDecision(before: TaskRow | undefined, after: TaskRow): void {
    const { id } = after;
    if (!before) {
      if (used.has(id)) broken(`task id ${id} is used again`);
      used.add(id);
      const older = facts.tasks().find((task) => task.id > id && !minted.has(task.id));
      if (older) broken(`task id ${id} comes after ${older.id}`);
      return;
    }
    for (const field of FIXED) {
      const [was, is] = [Reflect.get(before, field), Reflect.get(after, field)];
      if (was !== is) broken(`task ${id}: ${field} went from ${was} to ${is}`);
    }
    if (before.nodeId !== undefined && before.nodeId !== after.nodeId) {
      broken(`task ${id} moved from node ${before.nodeId} to ${after.nodeId}`);
    }
    if (before.desired === "stop" && after.desired === "run") broken(`task ${id} is to run again`);
    if (before.ended !== undefined && before.ended !== after.ended) {
      broken(`task ${id} ended ${before.ended} and then ${after.ended}`);
    }
  }

  function checkState(taskId: string, { changes }: Commit): void {
    const of = (kind: string) => changes.find(({ key }) => key[0] === kind && key[1] === taskId);
    const row = of("task");
    const seen = of("observed");
    const now = facts.task(taskId);
    const task = row ? row.before as TaskRow | undefined : now;
    const observed = seen ? seen.before as ObservedRow | undefined : facts.observed(taskId);
    if (!task) return;
    const from = { state: stateFrom(task, observed), attempt: observed?.attempt ?? 1 };
    if (!now) {
      if (!isEnd(from.state)) broken(`task ${taskId} is purged while ${from.state}`);
      return;
    }
    const seenNow = facts.observed(taskId);
    const to = { state: stateFrom(now, seenNow), attempt: seenNow?.attempt ?? from.attempt };
    if (from.state === to.state && from.attempt === to.attempt) return;
    const text = `task ${taskId} went from ${from.attempt}/${from.state} to ` +
      `${to.attempt}/${to.state}`;
    if (isEnd(from.state)) broken(`${text}: it had ended`);
    else if (to.attempt < from.attempt) broken(`${text}: attempts only grow`);
    else if (to.attempt > from.attempt) {
      if (from.state === "pending" || !leads("preparing", to.state)) broken(text);
    } else if (!leads(from.state, to.state)) broken(text);
  }

  return {
    commit(commit) {
      const touched = new Set<string>();
      minted = new Set(
        commit.changes.flatMap(({ key, before }) =>
          key[0] === "task" && before === undefined ? [String(key[1])] : []
        ),
      );
      for (const { key, before, after } of commit.changes) {
        if (key[0] === "task" && after !== undefined) {
          checkDecision(before as TaskRow | undefined, after as TaskRow);
        }
        if (key[0] === "task" || key[0] === "observed") touched.add(String(key[1]));
        if (key[0] === "observed" && after !== undefined && !facts.task(String(key[1]))) {
          broken(`an observed row is written for task ${key[1]}, which is not there`);
        }
      }
      for (const taskId of touched) checkState(taskId, commit);
    },
  };
}
