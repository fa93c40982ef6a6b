/**
 * Where named volumes are: what a placement adds to it.
 *
 * @module
 */
import type { TaskTemplate } from "../kv/schema/service.ts";
import { isShared, namedVolumes, type Volume } from "../kv/schema/volume.ts";
import type { World } from "./world.ts";

export interface VolumeRecord {
  id: string;
  /** Tasks with it need not follow it. */
  shared: boolean;
}

/** Adds a volume or replaces its row; another one of the same name is nowhere yet. */
export function putVolume(world: World, volume: Volume): void {
  const key = `${volume.project}/${volume.name}`;
  if (world.volumes.get(key)?.id !== volume.id) world.volumeNodes.delete(key);
  world.volumes.set(key, { id: volume.id, shared: isShared(volume) });
}

/** Notes that the node has the volume. */
export function putVolumeNode(world: World, key: string, nodeId: string, node: string): void {
  const nodes = world.volumeNodes.get(key);
  if (nodes) nodes.set(nodeId, node);
  else world.volumeNodes.set(key, new Map([[nodeId, node]]));
}

export interface NewVolume {
  /** `project/name`. */
  key: string;
  id: string;
}

/** The volumes that a node gets with a task of this revision. */
export function volumesGained(
  world: World,
  task: { serviceId: string; revision: number },
  nodeId: string,
): NewVolume[] {
  const record = world.services.get(task.serviceId);
  const template = record?.templates.get(task.revision);
  if (!record || !template || template.mounts.length === 0) return [];
  return namedVolumes(template.mounts).flatMap(({ source }) => {
    const key = `${record.service.project}/${source}`;
    const volume = world.volumes.get(key);
    return volume && !world.volumeNodes.get(key)?.has(nodeId) ? [{ key, id: volume.id }] : [];
  });
}

/** The named volumes of a template that may be bound to a node, as far as it says. */
export function boundVolumes(template: TaskTemplate): string[] {
  if (template.mounts.length === 0) return [];
  return namedVolumes(template.mounts).filter((mount) => !isShared(mount))
    .map(({ source }) => source);
}
