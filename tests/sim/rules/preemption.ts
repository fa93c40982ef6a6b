/**
 * Who is stopped for the sake of another has lower priority. What users did not ask for, and no rule
 * explains, is not stopped at all: every stop has a reason.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { TaskRow } from "../facts.ts";

export function preemption({ facts, broken }: RuleContext): Rule {
  return {
    commit({ changes }) {
      for (const { key, before, after } of changes) {
        if (key[0] !== "task" || before === undefined || after === undefined) continue;
        const [was, is] = [before as TaskRow, after as TaskRow];
        if (was.desired === "stop" || is.desired !== "stop") continue;
        if (!is.why) broken(`task ${is.id} is stopped for no stated reason`);
        const [, name] = /^preempted by (\S+)\.\d+,/.exec(is.why ?? "") ?? [];
        if (name === undefined) continue;
        const victim = facts.service(is.serviceId);
        const other = facts.services().find((service) =>
          service.name === name && !service.deleting
        );
        if (!victim || !other) continue;
        if (facts.isStale("service", victim.id) || facts.isStale("service", other.id)) continue;
        if (victim.priority >= other.priority) {
          broken(
            `task ${is.id} of ${victim.name} (priority ${victim.priority}) is stopped for ` +
              `${name} (${other.priority})`,
          );
        }
      }
    },
  };
}
