/**
 * A copy of a world to try things on.
 *
 * @module
 */
import type { NodeRecord, ServiceRecord, World } from "../world.ts";

/**
 * Copies what the world's reducers change: the indices and the records of nodes and services. Rows,
 * templates and task records are shared, because nothing ever changes them in place.
 */
export function fork(world: World): World {
  const nodes = new Map<string, NodeRecord>();
  for (const [id, record] of world.nodes) nodes.set(id, copyFields(record));
  const services = new Map<string, ServiceRecord>();
  for (const [id, record] of world.services) {
    services.set(id, { ...copyFields(record), slots: copyFields(record.slots) });
  }
  return { ...copyFields(world), nodes, services };
}

/** The object with its maps, sets and lists copied, and the lists that its maps hold. */
function copyFields<T extends object>(record: T): T {
  const fields = Object.entries(record).map(([name, value]) => [name, copyContainer(value)]);
  return Object.fromEntries(fields) as T;
}

function copyContainer(value: unknown): unknown {
  if (value instanceof Set) return new Set(value);
  if (Array.isArray(value)) return value.slice();
  if (!(value instanceof Map)) return value;
  const copy = new Map(value);
  for (const [key, inner] of copy) {
    if (inner instanceof Set || Array.isArray(inner) || inner instanceof Map) {
      copy.set(key, copyContainer(inner));
    }
  }
  return copy;
}
