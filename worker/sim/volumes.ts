/**
 * Named volumes of a simulated engine: those that its containers name, each with one blob in it.
 *
 * @module
 */
import { namedVolumes } from "../../kv/schema/volume.ts";
import type { Volumes } from "../runtime.ts";
import type { SimEngine } from "./engine.ts";

export function createSimVolumes(engine: SimEngine): Volumes {
  const missing = {
    ok: false,
    kind: "refused",
    message: "the volume is not on this node",
  } as const;
  return {
    remove(volumeId) {
      for (const { assignment } of engine.containers.values()) {
        const named = namedVolumes(assignment.template.mounts);
        const used = named.some(({ source }) =>
          assignment.resolved?.volumes[source]?.id === volumeId
        );
        if (used) {
          const message = `remove the volume: it is in use by task ${assignment.taskId}`;
          return Promise.resolve({ ok: false, kind: "refused", message });
        }
      }
      engine.volumes.delete(volumeId);
      return Promise.resolve({ ok: true, value: undefined });
    },
    read(volumeId) {
      const content = engine.volumes.get(volumeId);
      if (!content) return Promise.resolve(missing);
      async function* tar() {
        yield* content ?? [];
      }
      return Promise.resolve({ ok: true, value: tar() });
    },
    async write(volumeId, tar) {
      if (!engine.volumes.has(volumeId)) return missing;
      const content: Uint8Array[] = [];
      for await (const piece of tar) content.push(piece.slice());
      engine.volumes.set(volumeId, content);
      return { ok: true, value: undefined };
    },
  };
}
