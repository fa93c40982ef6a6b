/**
 * A strict slot never has two containers that run, whatever becomes of its nodes. A moment is forgiven:
 * between an agent's last look at its lease and the engine's start its guard kills what came late.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { TaskRow } from "../facts.ts";

const MOMENT_MS = 400;

export function strict({ facts, broken, nowMs }: RuleContext): Rule {
  /** The strict slot of each task, also of one that is forgotten. */
  const slotOf = new Map<string, string>();
  /** By slot: the containers that run, by node and task. */
  const running = new Map<string, Set<string>>();
  const doubleSince = new Map<string, number>();

  function check(slot: string): void {
    const containers = running.get(slot) ?? new Set();
    const sinceMs = doubleSince.get(slot);
    if (containers.size < 2) {
      doubleSince.delete(slot);
    } else if (sinceMs === undefined) {
      doubleSince.set(slot, nowMs());
      return;
    }
    if (sinceMs === undefined || nowMs() - sinceMs <= MOMENT_MS) return;
    const ms = Math.round(nowMs() - sinceMs);
    broken(`strict slot ${slot} had two containers for ${ms} ms: ${[...containers].join(" and ")}`);
  }

  return {
    commit({ changes }) {
      for (const { key, after } of changes) {
        if (key[0] !== "task" || after === undefined) continue;
        const task = after as TaskRow;
        const service = facts.service(task.serviceId);
        if (service?.singleton !== "strict") continue;
        slotOf.set(task.id, `${service.name}.${task.slot} (${service.id})`);
      }
      for (const slot of doubleSince.keys()) check(slot);
    },
    engine({ node, event, taskId }) {
      const slot = slotOf.get(taskId);
      if (slot === undefined || (event !== "start" && event !== "exit")) return;
      const containers = running.get(slot) ?? new Set();
      running.set(slot, containers);
      if (event === "start") containers.add(`${taskId} on ${node}`);
      // What runs beside it is judged with it.
      else if (containers.size > 1) check(slot);
      if (event === "exit") containers.delete(`${taskId} on ${node}`);
      check(slot);
    },
  };
}
