/**
 * A slot has one task that shall run; two while a new revision starts beside the old one. Of a strict
 * singleton never. A job's slot that succeeded gets no further task, and a job no more tasks at once than
 * it asks for. Before a canary is promoted, no more slots than it asks for have the new revision.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import { isRunTask, type ServiceRow, type TaskRow } from "../facts.ts";

export function slots({ facts, broken }: RuleContext): Rule {
  /** Slots of jobs with a success, as `service/slot`. */
  const succeeded = new Set<string>();
  /** Revisions, as `service@revision`, whose canary was chosen or changed after they began. */
  const rechosen = new Set<string>();

  /** The service's tasks that have not ended, save those that were put aside. */
  const liveOf = (serviceId: string) =>
    facts.tasksOf(serviceId).filter((task) => !task.disconnected && facts.isLive(task));

  function mayDouble(service: ServiceRow): boolean {
    if (service.singleton === "strict" || service.mode.type !== "replicated") return false;
    return service.update.order === "start-first" || service.update.strategy === "bluegreen" ||
      facts.rollout(service.id)?.back === true;
  }

  /** `stopped`: the tasks that the same commit stops. */
  function checkCreated(task: TaskRow, service: ServiceRow, stopped: ReadonlySet<string>): void {
    const slot = `${service.name}.${task.slot}`;
    if (service.mode.type === "job" && succeeded.has(`${service.id}/${task.slot}`)) {
      broken(`slot ${slot} succeeded, and task ${task.id} is created in it`);
    }
    const live = liveOf(service.id);
    const [other, more] = live.filter(({ id, slot }) => slot === task.slot && id !== task.id);
    if (other) {
      const runs = other.desired === "run" || stopped.has(other.id);
      const beside = !more && runs && other.revision !== task.revision && mayDouble(service);
      const [a, b] = [other, more].map((one) => one && `${one.id} (${facts.state(one)})`);
      if (!beside) {
        broken(`task ${task.id} is created in slot ${slot}, where ${[a, b].filter(Boolean)} live`);
      }
    }
    if (service.mode.type === "global") checkHome(task, service, live);
    if (service.mode.type === "job" && !isRunTask(task)) {
      const own = live.filter((one) => !isRunTask(one)).length;
      const { parallelism } = service.mode;
      if (own > parallelism) {
        broken(`job ${service.name} has ${own} tasks at once of ${parallelism}`);
      }
    }
    if (service.mode.type === "replicated") checkCanary(task, service, live);
  }

  function checkHome(task: TaskRow, { name }: ServiceRow, live: TaskRow[]): void {
    const home = task.nodeId ?? task.pin;
    const other = live.find((one) => one.id !== task.id && (one.nodeId ?? one.pin) === home);
    if (other) broken(`${name}: task ${task.id} is created on ${home}, where ${other.id} lives`);
  }

  function checkCanary(task: TaskRow, service: ServiceRow, live: TaskRow[]): void {
    const { id, name, revision } = service;
    const canary = facts.canary(service);
    if (canary === undefined || task.revision !== revision) return;
    if (rechosen.has(`${id}@${revision}`)) return;
    const slots = new Set(live.filter((one) => one.revision === revision).map(({ slot }) => slot));
    if (slots.size > canary) {
      broken(`${name}: ${slots.size} slots have revision ${revision}, the canary is ${canary}`);
    }
  }

  function noteCanary(before: ServiceRow | undefined, after: ServiceRow | undefined): void {
    if (!before || !after || before.revision !== after.revision) return;
    const same = before.update.strategy === after.update.strategy &&
      before.update.canary === after.update.canary;
    if (!same) rechosen.add(`${after.id}@${after.revision}`);
  }

  return {
    commit({ changes }) {
      const stopped = new Set<string>();
      for (const { key, before, after } of changes) {
        if (key[0] === "service") noteCanary(before as ServiceRow | undefined, after as ServiceRow);
        if (key[0] !== "task" || (before as TaskRow | undefined)?.desired !== "run") continue;
        if ((after as TaskRow | undefined)?.desired === "stop") stopped.add(String(key[1]));
      }
      for (const { key, before, after } of changes) {
        if (key[0] !== "task" || after === undefined || before !== undefined) continue;
        const task = after as TaskRow;
        const service = facts.service(task.serviceId);
        // What a user changed just now is not known to the leader yet.
        if (service && !facts.isStale("service", service.id) && facts.isLive(task)) {
          checkCreated(task, service, stopped);
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
