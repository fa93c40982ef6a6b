/**
 * Where there is room for a task that waits, by a computation of the checker's own.
 *
 * @module
 */
import { type Facts, heldOf, type TaskRow } from "../facts.ts";
import { clash, refusal } from "./fit.ts";

/** The names of the nodes on which it could start now. */
export function nodesThatFit(facts: Facts, task: TaskRow): string[] {
  const template = facts.template(task.serviceId, task.revision);
  if (!template) return [];
  const { reserve, ports, placement } = template;
  // Room that is being made for somebody is not free.
  const nominated = facts.live().filter((other) =>
    other.id !== task.id && other.nodeId === undefined && other.nominated !== undefined
  );
  const others = facts.live().filter((other) => other.id !== task.id && other.nodeId !== undefined);
  return facts.nodes().filter(({ id, capacity }) => {
    if (task.pin !== undefined && task.pin !== id) return false;
    if (!facts.isReady(id) || facts.nodeSpec(id).availability !== "active") return false;
    if (refusal(facts, id, placement) !== undefined) return false;
    const elsewhere = facts.volumesOf(task).some(([, volume]) => {
      const nodes = facts.volumeNodes(volume);
      return nodes.length > 0 && !nodes.includes(id);
    });
    if (elsewhere) return false;
    const held = heldOf(facts, id);
    for (const other of nominated.filter((one) => one.nominated === id)) {
      const theirs = facts.template(other.serviceId, other.revision);
      held.milliCpus += Math.round((theirs?.reserve.cpus ?? 0) * 1000);
      held.memoryMiB += theirs?.reserve.memoryMiB ?? 0;
      if (theirs?.ports.some(({ published }) => published !== undefined)) return false;
    }
    return held.milliCpus + Math.round(reserve.cpus * 1000) <= capacity.cpus * 1000 &&
      held.memoryMiB + reserve.memoryMiB <= capacity.memoryMiB &&
      ports.every((p) =>
        p.published === undefined || p.mode !== "host" ||
        !held.ports.has(`${p.protocol}/${p.published}`)
      ) && clash(facts, task, id, others) === undefined;
  }).map(({ name }) => name);
}
