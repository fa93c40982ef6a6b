/**
 * How much room there is: what nodes have left, and how many more tasks of a service would fit. Told by
 * the placement itself, with all its filters.
 *
 * @module
 */
import { MAX_FITS, type NodeForecast } from "../../kv/schema/forecast.ts";
import { type Candidate, overlayOf, requestOf } from "../overlay.ts";
import { place } from "../place.ts";
import { STRATEGIES } from "../strategies/table.ts";
import type { World } from "../world.ts";

const SLOTS = Array.from({ length: MAX_FITS }, (_, i) => i + 1);

/** How many more tasks of the service's newest revision fit; {@link MAX_FITS} at the most. */
export function fitsMore(world: World, serviceId: string): number {
  const record = world.services.get(serviceId);
  const template = record?.templates.get(record.service.revision);
  if (!template) return 0;
  const request = requestOf(serviceId, template);
  // How many fit does not depend on the order in which nodes are filled.
  return place(overlayOf(world), request, { strategy: STRATEGIES.binpack, slots: SLOTS }).length;
}

/** Every node of the later world, by name with numbers in order, beside what it was. */
export function nodesOf(before: World, after: World): NodeForecast[] {
  const was = loadsOf(before);
  const names = [...after.nodes].map(([id, { node }]) => ({ id, name: node.name }))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const is = loadsOf(after);
  return names.flatMap(({ id, name }) => {
    const [then, now] = [is.get(id), was.get(id)];
    return then ? [{ node: name, ...(now ? { before: now } : {}), after: then }] : [];
  });
}

function loadsOf(world: World): Map<string, NodeForecast["after"]> {
  return new Map(overlayOf(world).candidates.map((node) => [node.record.node.id, loadOf(node)]));
}

function loadOf(node: Candidate): NodeForecast["after"] {
  return {
    state: node.state,
    availability: node.record.spec.availability,
    tasks: node.tasks,
    free: {
      cpus: Math.max(0, node.capacityMilliCpus - node.usedMilliCpus) / 1000,
      memoryMiB: Math.max(0, node.capacityMemoryMiB - node.usedMemoryMiB),
    },
  };
}
