/**
 * What is the leader's is written by the one who holds the epoch, and the log has no gaps.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";

/** Rows that only a leader writes. Of `queue` and `observed` it is their deletion. */
const LEADERS = new Set([
  ...["task", "task_of", "assign", "node_status", "log", "log_head"],
  ...["rollout", "run_cursor", "elapsed"],
]);
const DELETED_BY_LEADER = new Set([
  ...["queue", "observed", "service", "revision", "service_name"],
  ...["run", "rollout_request"],
]);

export function leadership({ broken }: RuleContext): Rule {
  let epoch = 0;
  let holder: string | undefined;
  let seq = 0;
  let logged = 0;
  return {
    commit({ by, changes }) {
      for (const { key, after } of changes) {
        if (key[0] === "leader" && key[1] === "epoch") {
          const row = after as { epoch: number };
          if (row.epoch !== epoch + 1) broken(`the epoch went from ${epoch} to ${row.epoch}`);
          epoch = row.epoch;
          holder = by;
        }
      }
      for (const { key, before, after } of changes) {
        const kind = String(key[0]);
        const isLeaders = LEADERS.has(kind) ||
          (DELETED_BY_LEADER.has(kind) && before !== undefined && after === undefined);
        // Removing a node is its user's.
        if (kind === "node_status" && after === undefined) continue;
        if (isLeaders && by !== holder) {
          broken(`${by} wrote ${key.join("/")}, but the leader of epoch ${epoch} is ${holder}`);
        }
        if (kind !== "log" || after === undefined) continue;
        const record = after as { epoch: number; events: unknown[] };
        if (key[1] !== seq + 1) broken(`the log goes from ${seq} to ${key[1]}`);
        if (record.epoch < logged) broken(`log ${key[1]}: epoch ${record.epoch} after ${logged}`);
        if (record.epoch !== epoch) broken(`log ${key[1]}: epoch ${record.epoch} in ${epoch}`);
        if (record.events.length === 0) broken(`log ${key[1]} says nothing`);
        seq = Number(key[1]);
        logged = record.epoch;
      }
    },
  };
}
