/**
 * A time of a schedule is run once at the most, and only by a service that goes on; the cursor moves
 * forwards; runs that exclude one another do; a run that a user asked for is one run.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { ServiceRow, TaskRow } from "../facts.ts";

export function runs({ facts, broken }: RuleContext): Rule {
  /** The slot of each time that was run, as `service@time`, and of each run by hand. */
  const slotOf = new Map<string, number>();
  /** Slots of runs that succeeded, as `service/slot`. */
  const succeeded = new Set<string>();

  function checkCreated(task: TaskRow, service: ServiceRow): void {
    const what = task.run?.scheduledAt ?? task.runId;
    if (what === undefined) {
      if (service.mode.type === "cron") broken(`${service.name}: task ${task.id} is of no run`);
      return;
    }
    const name = `${service.id}@${what}`;
    const slot = slotOf.get(name);
    if (slot !== undefined && slot !== task.slot) {
      broken(`${service.name}: the run of ${what} is in slot ${slot} and again in ${task.slot}`);
    }
    slotOf.set(name, task.slot);
    if (succeeded.has(`${service.id}/${task.slot}`)) {
      broken(`${service.name}: the run of ${what} succeeded and is tried again`);
    }
    if (facts.isStale("service", service.id)) return;
    if (service.stopped || service.deleting) {
      broken(`${service.name} is stopped, and task ${task.id} is created`);
    }
    if (task.run && slot === undefined) checkAlone(task, service);
  }

  /** A new scheduled run beside earlier ones. */
  function checkAlone(task: TaskRow, { id, name, mode }: ServiceRow): void {
    if (mode.type !== "cron" || mode.concurrency === "allow") return;
    const others = facts.tasksOf(id).filter((other) =>
      other.run && other.slot !== task.slot && facts.isLive(other)
    );
    const going = mode.concurrency === "forbid"
      ? others
      : others.filter(({ desired }) => desired === "run");
    for (const other of going) {
      broken(`${name}: the run of ${task.run?.scheduledAt} begins while ${other.id} goes on`);
    }
  }

  return {
    commit({ changes }) {
      for (const { key, before, after } of changes) {
        if (key[0] === "run_cursor" && before && after) {
          const [was, is] = [before, after] as { slot: number; lastScheduledAt?: string }[];
          const back = (is?.slot ?? 0) < (was?.slot ?? 0) ||
            (is?.lastScheduledAt ?? "") < (was?.lastScheduledAt ?? "");
          if (back) broken(`the cursor of ${key[1]} goes back: ${JSON.stringify([was, is])}`);
        }
        if (key[0] === "observed" && after !== undefined) {
          const task = facts.task(String(key[1]));
          if (task && facts.state(task) === "succeeded") {
            succeeded.add(`${task.serviceId}/${task.slot}`);
          }
        }
        if (key[0] !== "task" || after === undefined || before !== undefined) continue;
        const task = after as TaskRow;
        const service = facts.service(task.serviceId);
        const hasRuns = service?.mode.type === "cron" || service?.mode.type === "job";
        if (service && hasRuns) checkCreated(task, service);
      }
    },
  };
}
