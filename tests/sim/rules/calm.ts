/**
 * Nothing stops because of the control plane.
 *
 * - A cluster in which nothing goes wrong is left alone: no node is taken for dead, no task for lost.
 *   That does not hold for a node whose agent has only just heard that it joined: the answer was lost, and
 *   it tried again when the time that a new node has was nearly over.
 * - A leader that stood still does not take that time for the nodes' silence.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { TaskRow } from "../facts.ts";
import { pathOf } from "../paths.ts";

/** The TTL of the simulated clusters. */
const TTL_MS = 6_000;
/** How much of it a leader may miss and still judge. */
const INATTENTION_MS = 3_500;
/** A replica writes what it heard once a second; so long after an agent began to poll all can know of it. */
const NOTED_MS = 1_500;

export function calm({ facts, nowMs, broken }: RuleContext): Rule {
  let healthy = false;
  /** When the agent of each node heard that it joined. */
  const joined = new Map<string, number>();
  const stalls = new Map<string, { fromMs: number; toMs: number }>();

  function checkAttention(by: string, atMs: number, nodeId: string): void {
    const stall = stalls.get(by);
    const missedMs = stall ? Math.min(stall.toMs, atMs) - Math.max(stall.fromMs, atMs - TTL_MS) : 0;
    if (missedMs <= INATTENTION_MS) return;
    broken(
      `${by} takes node ${nodeId} for dead, having stood still for ${
        Math.round(missedMs)
      } ms of the TTL`,
    );
  }

  /** Whether the leader has no reason to give the node up. */
  function isWell(nodeId: string): boolean {
    return healthy && nowMs() - (joined.get(nodeId) ?? Infinity) >= NOTED_MS;
  }

  return {
    answerReceived({ sent }, { status, body }) {
      if (status >= 300 || pathOf(sent.path) !== "/v1/nodes/join") return;
      const { nodeId } = JSON.parse(body);
      if (!joined.has(nodeId)) joined.set(nodeId, nowMs());
    },
    stalled: (name, times) => void stalls.set(name, times),
    allIsWell() {
      healthy = true;
    },
    commit({ by, askedMs, changes }) {
      for (const { key, after } of changes) {
        const state = (after as { state?: string } | undefined)?.state;
        if (key[0] === "node_status" && state === "down") {
          checkAttention(by, askedMs, String(key[1]));
        }
        if (key[0] === "node_status" && state === "down" && isWell(String(key[1]))) {
          const node = facts.rows("node").get(String(key[1])) as { name: string } | undefined;
          broken(`node ${node?.name} is taken for dead, and is well`);
        }
        const task = key[0] === "task" ? after as TaskRow | undefined : undefined;
        // A node that was removed may be well: its tasks are given up all the same.
        if (task?.ended !== "lost" || facts.wasRemoved(task.nodeId ?? "")) continue;
        if (isWell(task.nodeId ?? "")) {
          broken(`task ${key[1]} is taken for lost, and its node is well`);
        }
      }
    },
  };
}
