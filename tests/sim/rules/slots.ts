/**
 * A slot has one task that shall run, and a job's slot that succeeded gets no further one.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import { isEnd, type TaskRow } from "../facts.ts";

export function slots({ facts, broken }: RuleContext): Rule {
  /** Slots of jobs with a success, as `service/slot`. */
  const succeeded = new Set<string>();
  return {
    commit({ changes }) {
      for (const { key, before, after } of changes) {
        if (key[0] !== "task" || after === undefined) continue;
        const task = after as TaskRow;
        const slot = `${task.serviceId}/${task.slot}`;
        const job = facts.service(task.serviceId)?.mode.type === "job";
        if (before === undefined && job && succeeded.has(slot)) {
          broken(`slot ${slot} succeeded, and task ${task.id} is created in it`);
        }
        const running = facts.live().filter((other) =>
          other.serviceId === task.serviceId && other.slot === task.slot && other.desired === "run"
        );
        if (running.length > 1) {
          broken(`slot ${slot} has ${running.map(({ id }) => id).join(" and ")} that shall run`);
        }
        const live = facts.live().filter((other) =>
          other.serviceId === task.serviceId && other.slot === task.slot
        );
        if (before === undefined && live.length > 1 && !isEnd(facts.state(task))) {
          broken(`task ${task.id} is created in slot ${slot} while another has not ended`);
        }
      }
      for (const { key, after } of changes) {
        if (key[0] !== "observed" || after === undefined) continue;
        const task = facts.task(String(key[1]));
        const job = task && facts.service(task.serviceId)?.mode.type === "job";
        if (job && facts.state(task) === "succeeded") {
          succeeded.add(`${task.serviceId}/${task.slot}`);
        }
      }
    },
  };
}
