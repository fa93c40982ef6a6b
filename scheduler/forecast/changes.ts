/**
 * What differs between two worlds, slot by slot: the tasks that shall run before and after.
 *
 * @module
 */
import type { TaskChange } from "../../kv/schema/forecast.ts";
import type { ServiceRecord, TaskRecord, World } from "../world.ts";

export interface ChangesInput {
  before: World;
  after: World;
  /** Why tasks were stopped or lost on the way, by their ids. */
  reasons: ReadonlyMap<string, string>;
  /** Only of these services are tasks told that wait before and after. Absent: of all. */
  asked?: ReadonlySet<string>;
}

/** By project, service and slot. */
export function changesOf(input: ChangesInput): TaskChange[] {
  const { before, after } = input;
  const ids = new Set([...before.services.keys(), ...after.services.keys()]);
  const changes: TaskChange[] = [];
  for (const id of ids) {
    const was = before.services.get(id);
    const is = after.services.get(id);
    const service = (is ?? was)?.service;
    if (!service) continue;
    const slots = new Set([...was?.live.keys() ?? [], ...is?.live.keys() ?? []]);
    for (const slot of slots) {
      const change = changeOf(input, wantedIn(was, slot), wantedIn(is, slot));
      if (!change) continue;
      const { name, project } = service;
      changes.push({ ...change, name: `${name}.${slot}`, service: name, project, slot });
    }
  }
  return changes.sort((a, b) =>
    compare(a.project, b.project) || compare(a.service, b.service) || a.slot - b.slot
  );
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The task that shall run in the slot; the newest while one is being replaced. */
function wantedIn(service: ServiceRecord | undefined, slot: number): TaskRecord | undefined {
  return service?.live.get(slot)?.findLast(({ task }) => task.desired === "run");
}

type Change = Pick<TaskChange, "kind" | "from" | "to" | "why" | "already">;

function changeOf(
  { before, after, reasons, asked }: ChangesInput,
  was: TaskRecord | undefined,
  is: TaskRecord | undefined,
): Change | undefined {
  const from = nameOf(before, was);
  const to = nameOf(after, is);
  const reason = was && reasons.get(was.task.id);
  const fields: Omit<Change, "kind"> = {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(reason === undefined ? {} : { why: reason }),
  };
  if (!is) return was && { kind: "stopped", ...fields };
  if (is.task.nodeId === undefined) {
    const already = was !== undefined && was.task.nodeId === undefined;
    if (already && asked && !asked.has(is.task.serviceId)) return undefined;
    const why = is.task.why ?? "there is no node for it";
    return { kind: "unplaceable", ...fields, why, ...(already ? { already } : {}) };
  }
  if (!was) return { kind: "new", ...fields };
  if (was.task.nodeId === undefined) return { kind: "placed", ...fields };
  if (was.task.nodeId !== is.task.nodeId) return { kind: "moved", ...fields };
  return was.task.id === is.task.id ? undefined : { kind: "replaced", ...fields };
}

function nameOf(world: World, record: TaskRecord | undefined): string | undefined {
  const nodeId = record?.task.nodeId;
  return nodeId === undefined ? undefined : world.nodes.get(nodeId)?.node.name ?? nodeId;
}
