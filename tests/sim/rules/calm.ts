/**
 * A cluster in which nothing goes wrong is left alone: no node is taken for dead, no task for lost.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { TaskRow } from "../facts.ts";

export function calm({ facts, broken }: RuleContext): Rule {
  let healthy = false;
  return {
    allIsWell() {
      healthy = true;
    },
    commit({ changes }) {
      if (!healthy) return;
      for (const { key, after } of changes) {
        if (
          key[0] === "node_status" && (after as { state: string } | undefined)?.state === "down"
        ) {
          const node = facts.rows("node").get(String(key[1])) as { name: string } | undefined;
          broken(`node ${node?.name} is taken for dead, and is well`);
        }
        if (key[0] === "task" && (after as TaskRow | undefined)?.ended === "lost") {
          broken(`task ${key[1]} is taken for lost, and its node is well`);
        }
      }
    },
  };
}
