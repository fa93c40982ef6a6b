/**
 * A task is given only to a node that may have it: known, ready, open, and as the task's template asks.
 * What the leader has not heard yet (a wake-up waits) is not held against it.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { Facts, TaskRow } from "../facts.ts";
import { clash, refusal } from "./fit.ts";

export function placement({ facts, broken }: RuleContext): Rule {
  return {
    commit({ changes }) {
      const placed: TaskRow[] = [];
      let ends = false;
      for (const { key, before, after } of changes) {
        if (key[0] !== "task" || after === undefined) continue;
        const [was, is] = [before as TaskRow | undefined, after as TaskRow];
        if (is.ended !== undefined) ends = true;
        if (is.nodeId !== undefined && was?.nodeId === undefined) placed.push(is);
      }
      for (const task of placed) {
        const nodeId = task.nodeId ?? "";
        const problem = nodeProblem(facts, task, nodeId);
        const name = facts.node(nodeId)?.name ?? nodeId;
        if (problem) broken(`task ${task.id} is given to ${name}, which ${problem}`);
      }
      // Several at once: the last one that was placed saw all others, and we do not know which it was.
      if (ends || placed.length !== 1) return;
      for (const task of placed) {
        const nodeId = task.nodeId ?? "";
        if (anyStale(facts)) return;
        const others = facts.live().filter(({ id, nodeId }) => id !== task.id && nodeId);
        const problem = clash(facts, task, nodeId, others);
        if (problem) {
          broken(`task ${task.id} is given to ${facts.node(nodeId)?.name}, which ${problem}`);
        }
      }
    },
  };
}

function nodeProblem(facts: Facts, task: TaskRow, nodeId: string): string | undefined {
  if (facts.isStale("node", nodeId)) return undefined;
  if (!facts.node(nodeId)) return "is not known";
  if (!facts.isReady(nodeId)) return "is not ready";
  const { availability } = facts.nodeSpec(nodeId);
  if (availability !== "active") return `is set to ${availability}`;
  const template = facts.template(task.serviceId, task.revision);
  return template && refusal(facts, nodeId, template.placement);
}

/** Rules about other tasks depend on what the leader knows of all nodes, services and tasks. */
function anyStale(facts: Facts): boolean {
  return facts.staleCount > 0;
}
