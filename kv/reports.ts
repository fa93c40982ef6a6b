/**
 * Reports: what a node saw of its tasks.
 *
 * 1. An observed row is written by its node's reports only, and only forwards (`advances`): late and
 *    doubled reports change nothing.
 * 2. Every commit checks and rewrites the node's report row, so that two reports of one node, through
 *    two replicas, cannot overtake one another between reading and writing.
 * 3. Every commit checks the task rows, so that no observed row outlives its task.
 * 4. A node's reports are applied in the order in which it sent them: each names the answer that it
 *    follows (`base`), and one that was overtaken on its way is not applied. Within a state nothing else
 *    orders them: health and readiness go up and down. For that a report that changes nothing counts, too:
 *    an earlier one that got no answer may still be on its way.
 * 5. A task that the leader has given up stays lost, whatever its node says when it is back: the task
 *    was replaced, and a task ends once.
 * 6. Of a node that is being removed nothing is written any more, though its credential is good for a
 *    moment longer: nobody would clear it away.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { sameValue } from "./same.ts";
import type { ReportRequest, ReportResponse } from "./schema/agent.ts";
import { Observed, Task } from "./schema/task.ts";
import { advances, isTerminal } from "./schema/task_state.ts";
import { getInOrder, type Kv, LIMITS, type Versioned, versionedOf } from "./store.ts";

export interface ReportDeps {
  kv: Kv;
  newId: () => string;
}

/** Tasks a commit: one check each, one for the report row, and one for the node's. */
const TASKS_PER_COMMIT = LIMITS.checks - 2;

/**
 * Takes a node's report. Answers the tasks that are not this node's; what is out of date is dropped
 * silently, since the node has moved on already. A report of more than eight tasks is several commits,
 * and safe to repeat when it broke off.
 */
export async function report(
  deps: ReportDeps,
  nodeId: string,
  request: ReportRequest,
): Promise<Outcome<ReportResponse>> {
  const unknown: PartAnswer["unknown"] = [];
  const behind: PartAnswer["behind"] = [];
  let { base } = request;
  // The last word about a task counts, should it be there twice.
  const tasks = [...new Map(request.tasks.map((seen) => [seen.taskId, seen])).values()];
  let at = 0;
  do {
    const part = tasks.slice(at, at + TASKS_PER_COMMIT);
    const isLast = at + TASKS_PER_COMMIT >= tasks.length;
    const counts = isLast && tasks.length > 0 && base !== undefined && base === request.base; // (4)
    const answer = await reportSome(deps, nodeId, { part, base, counts });
    if (!answer.ok) return answer;
    if (answer.value.stale) return done({ unknown, base: answer.value.base, stale: true });
    unknown.push(...answer.value.unknown);
    behind.push(...answer.value.behind);
    base = answer.value.base;
    at += TASKS_PER_COMMIT;
  } while (at < tasks.length);
  return done({ unknown, ...(behind.length === 0 ? {} : { behind }), base, stale: false });
}

interface PartAnswer {
  unknown: string[];
  behind: { taskId: string; attempt: number }[];
  /** The report row's versionstamp now. */
  base: string;
  stale: boolean;
}

async function reportSome(
  deps: ReportDeps,
  nodeId: string,
  { part: seen, base, counts }: {
    part: readonly Observed[];
    base: string | undefined;
    /** It is to be in the order, though it may change nothing. */
    counts: boolean;
  },
): Promise<Outcome<PartAnswer>> {
  const { kv } = deps;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    // The report row comes first: a report that is applied meanwhile fails the commit.
    const [serial, node, ...rows] = await getInOrder(kv, [
      key.report(nodeId),
      key.node(nodeId),
      ...seen.map((o) => key.task(o.taskId)),
      ...seen.map((o) => key.observed(o.taskId)),
    ]);
    if (!node || node.versionstamp === null) { // (6)
      const unknown = seen.map(({ taskId }) => taskId);
      return done({ unknown, behind: [], base: "", stale: false });
    }
    const now = serial?.versionstamp ?? "";
    if (base !== undefined && base !== now) { // (4)
      return done({ unknown: [], behind: [], base: now, stale: true });
    }
    const tasks = rows.slice(0, seen.length).map((entry) => versionedOf(entry, Task));
    const before = rows.slice(seen.length).map((entry) => versionedOf(entry, Observed));
    const unknown: PartAnswer["unknown"] = [];
    const behind: PartAnswer["behind"] = [];
    const op = kv.atomic()
      .check({ key: key.report(nodeId), versionstamp: serial?.versionstamp ?? null })
      .check({ key: key.node(nodeId), versionstamp: node.versionstamp }) // (6)
      .set(key.report(nodeId), 1); // (2)
    let writes = 0;
    seen.forEach((next, i) => {
      const task = tasks[i];
      if (task?.row.nodeId !== nodeId) return void unknown.push(next.taskId);
      const prev = before[i]?.row;
      if (prev && next.attempt < prev.attempt && !isTerminal(prev.state)) {
        behind.push({ taskId: next.taskId, attempt: prev.attempt });
      }
      const effect = task.row.ended ? "none" : effectOf(prev, next); // (1), (5)
      if (effect === "none") return;
      writes++;
      op.check(versionOf(key.task(next.taskId), task)) // (3)
        .set(key.observed(next.taskId), next);
      if (effect === "wake") enqueue(op, { kind: "task", id: next.taskId }, deps.newId);
    });
    if (writes === 0 && !counts) return done({ unknown, behind, base: now, stale: false });
    const committed = await op.commit();
    if (committed.ok) {
      return done({ unknown, behind, base: committed.versionstamp, stale: false });
    }
  }
  return tooManyConflicts(`the report of node ${nodeId}`);
}

function versionOf(rowKey: Deno.KvKey, row: Versioned<unknown>): Deno.AtomicCheck {
  return { key: rowKey, versionstamp: row.versionstamp };
}

/** `wake`: the leader may have to act. `note`: only people want to know. */
function effectOf(prev: Observed | undefined, next: Observed): "none" | "note" | "wake" {
  const from = prev ?? { attempt: 1, state: "assigned" as const };
  if (advances(from, next, "node")) return "wake";
  if (!prev || isTerminal(prev.state)) return "none";
  const samePlace = prev.attempt === next.attempt && prev.state === next.state;
  if (!samePlace || sameValue(prev, next)) return "none";
  return prev.health === next.health && prev.ready === next.ready ? "note" : "wake";
}
