/**
 * Tasks go where their volumes are. A volume that is nowhere yet is where the first task with it goes. Of a
 * global service each node has its own, and a shared volume is everywhere.
 *
 * @module
 */
import type { Filter } from "../filters.ts";
import type { Overlay, Request } from "../overlay.ts";
import type { World } from "../world.ts";

/** A volume that a request has to follow, and the nodes that have it, with their names. */
export interface Located {
  name: string;
  nodes: ReadonlyMap<string, string>;
}

/** Where the request's volumes are: in the world, or by this plan. */
export function locate(overlay: Overlay, request: Request): Located[] {
  const found: Located[] = [];
  for (const { name, key } of bound(overlay.world, request)) {
    const nodes = overlay.world.volumeNodes.get(key);
    const planned = overlay.located.get(key);
    if (nodes && nodes.size > 0) found.push({ name, nodes });
    else if (planned) found.push({ name, nodes: planned });
  }
  return found;
}

/** Whether one of the request's volumes is nowhere yet, so that its first task decides for the others. */
export function isUndecided(overlay: Overlay, request: Request): boolean {
  return request.volumes.length > 0 &&
    bound(overlay.world, request).length > locate(overlay, request).length;
}

/** Notes where the request's volumes will be once it has a task on that node. */
export function settle(
  overlay: Overlay,
  request: Request,
  node: { id: string; name: string },
): void {
  if (request.volumes.length === 0) return;
  for (const { key } of bound(overlay.world, request)) {
    if ((overlay.world.volumeNodes.get(key)?.size ?? 0) > 0 || overlay.located.has(key)) continue;
    overlay.located.set(key, new Map([[node.id, node.name]]));
  }
}

function bound(world: World, { serviceId, volumes }: Request): { name: string; key: string }[] {
  const service = volumes.length === 0 ? undefined : world.services.get(serviceId)?.service;
  if (!service || service.mode.type === "global") return [];
  return volumes.map((name) => ({ name, key: `${service.project}/${name}` }))
    .filter(({ key }) => !world.volumes.get(key)?.shared);
}

function missing(nodeId: string, { located }: Request): Located[] {
  return (located ?? []).filter(({ nodes }) => !nodes.has(nodeId));
}

export const volumes: Filter = {
  name: "volumes",
  fixed: true,
  applies: ({ located }) => (located?.length ?? 0) > 0,
  check: ({ record }, { located }) =>
    located?.every(({ nodes }) => nodes.has(record.node.id)) ?? true,
  group({ record }, request) {
    const text = missing(record.node.id, request)
      .map(({ name, nodes }) => `${name} (it is on ${[...nodes.values()].join(", ")})`).join(", ");
    return { one: `does not have volume ${text}`, many: `do not have volume ${text}` };
  },
  explain({ record }, request, world) {
    const lacking = missing(record.node.id, request);
    const { name: node } = record.node;
    const names = lacking.map(({ name }) => name);
    return {
      reason: lacking.map(({ name, nodes }) =>
        `${node} does not have volume ${name}: it is on ${whereabouts(world, nodes)}`
      ).join("; "),
      remedy: `remove the service and volume ${names.join(", ")}, to begin with an empty one`,
      cost: 80 + lacking.length,
    };
  },
};

/** The nodes that have it, and what is the matter with them. */
function whereabouts(world: World, nodes: ReadonlyMap<string, string>): string {
  return [...nodes].map(([id, name]) => {
    const record = world.nodes.get(id);
    if (!record) return `${name}, which was removed`;
    return record.status?.state === "down" ? `${name}, which is down` : name;
  }).join(", ");
}
