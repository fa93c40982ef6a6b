/**
 * What is in a named volume, read and written through a helper container (helper.ts).
 *
 * @module
 */
import type { Readable } from "node:stream";
import { type EngineFailure, type Outcome, VOLUME_LABEL, type Volumes } from "../runtime.ts";
import { type Answer, ask, type Container, type Engine, readable, refused } from "./client.ts";
import { createHelper, HELPER_DIR, removeHelper } from "./helper.ts";
import { putArchive, wholeArchive } from "./archive.ts";

const REMOVE_MS = 10_000;

export interface VolumesDeps {
  docker: Engine;
  nodeId: string;
  /** Names helpers apart. */
  nextId: () => string;
}

export function createVolumes(deps: VolumesDeps): Volumes {
  const { docker } = deps;

  /** The engine's name of the volume, or undefined when it is not there. */
  async function find(volumeId: string, signal: AbortSignal): Promise<Answer<string | undefined>> {
    const filters = JSON.stringify({ label: [`${VOLUME_LABEL}=${volumeId}`] });
    const listed = await ask(
      "list volumes",
      signal,
      (abortSignal) => docker.listVolumes({ filters, abortSignal } as { filters: string }),
    );
    if (!listed.ok) return listed;
    // The engine answers null for none.
    return { ok: true, value: (listed.value.Volumes ?? [])[0]?.Name };
  }

  async function helperFor(volumeId: string, signal: AbortSignal): Promise<Answer<Container>> {
    const volume = await find(volumeId, signal);
    if (!volume.ok) return volume;
    if (volume.value === undefined) return refused("the volume is not on this node");
    const name = `berth-helper-volume-${deps.nextId()}`;
    return await createHelper(docker, { name, nodeId: deps.nodeId, volume: volume.value, signal });
  }

  return {
    async remove(volumeId, signal) {
      const found = await find(volumeId, signal);
      if (!found.ok) return failure(found);
      const name = found.value;
      if (name === undefined) return { ok: true, value: undefined };
      const removed = await ask(
        "remove the volume",
        signal,
        (abortSignal) => docker.getVolume(name).remove({ abortSignal } as object),
      );
      if (removed.ok || removed.status === 404) return { ok: true, value: undefined };
      return failure(removed);
    },

    async read(volumeId, signal) {
      const helper = await helperFor(volumeId, signal);
      if (!helper.ok) return failure(helper);
      const opened = await ask(
        "read the volume",
        signal,
        (abortSignal) =>
          helper.value.getArchive({ path: `${HELPER_DIR}/.`, abortSignal } as { path: string }),
      );
      if (!opened.ok) {
        await removeHelper(helper.value, AbortSignal.timeout(REMOVE_MS));
        return failure(opened);
      }
      return { ok: true, value: whole(readable(opened.value), helper.value, signal) };
    },

    async write(volumeId, tar, signal) {
      const helper = await helperFor(volumeId, signal);
      if (!helper.ok) return failure(helper);
      try {
        const what = "write the volume";
        const options = { what, path: HELPER_DIR, signal };
        const written = await putArchive(helper.value, tar, options);
        return written.ok ? { ok: true, value: undefined } : failure(written);
      } finally {
        await removeHelper(helper.value, AbortSignal.timeout(REMOVE_MS));
      }
    },
  };
}

/** The stream to its end, and then the helper goes. */
async function* whole(
  stream: Readable,
  helper: Container,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* wholeArchive(stream, signal);
  } finally {
    await removeHelper(helper, AbortSignal.timeout(REMOVE_MS));
  }
}

function failure({ kind, message }: EngineFailure): Outcome<never> {
  return { ok: false, kind, message };
}
