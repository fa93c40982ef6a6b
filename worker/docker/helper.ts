/**
 * Helper containers: never started, they lend their mounts to the engine's archive calls. They are made
 * from an image without anything in it, which is imported when it is first needed, so nothing is pulled
 * and no program of anybody's image runs.
 *
 * @module
 */
import { Readable } from "node:stream";
import {
  type Answer,
  ask,
  type Container,
  createContainer,
  type Engine,
  readable,
} from "./client.ts";
import { bytesOf, jsonLines } from "./streams.ts";
import { TAR_END } from "../../kv/schema/tar.ts";

/** Marks a helper, with its node's id. Containers of tasks carry other labels. */
export const HELPER_LABEL = "berth.helper";
/** Where a helper has the volume. */
export const HELPER_DIR = "/volume";

const IMAGE = { repo: "berth-empty", tag: "1" };

export interface HelperOptions {
  /** Of the container; one that is left over under this name is replaced. */
  name: string;
  nodeId: string;
  volume: string;
  signal: AbortSignal;
}

/** Makes a helper with the volume at {@link HELPER_DIR}. The caller removes it. */
export async function createHelper(
  docker: Engine,
  options: HelperOptions,
): Promise<Answer<Container>> {
  const { name, signal } = options;
  let last = await tryCreate(docker, options);
  for (let tries = 0; tries < 2 && !last.ok; tries++) {
    if (last.status === 404 && /no such image/i.test(last.message)) {
      const imported = await importEmpty(docker, signal);
      if (!imported.ok) return imported;
    } else if (last.status === 409) {
      const removed = await removeHelper(docker.getContainer(name), signal);
      if (!removed.ok) return removed;
    } else return last;
    last = await tryCreate(docker, options);
  }
  return last;
}

function tryCreate(
  docker: Engine,
  { name, nodeId, volume, signal }: HelperOptions,
): Promise<Answer<Container>> {
  return ask("create a helper", signal, (abortSignal) =>
    createContainer(docker, {
      name,
      Image: `${IMAGE.repo}:${IMAGE.tag}`,
      Cmd: ["never-started"],
      Labels: { [HELPER_LABEL]: nodeId },
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: "none",
        Mounts: [{
          Type: "volume",
          Source: volume,
          Target: HELPER_DIR,
          VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: "", Options: {} } },
        }],
      },
    }, abortSignal));
}

export async function removeHelper(
  helper: Container,
  signal: AbortSignal,
): Promise<Answer<undefined>> {
  const removed = await ask(
    "remove a helper",
    signal,
    (abortSignal) => helper.remove({ force: true, abortSignal }),
  );
  return removed.ok || removed.status === 404 ? { ok: true, value: undefined } : removed;
}

/** Removes what an agent left behind that died while it used one. */
export async function sweepHelpers(
  docker: Engine,
  nodeId: string,
  signal: AbortSignal,
): Promise<void> {
  const label = [`${HELPER_LABEL}=${nodeId}`];
  const listed = await ask(
    "list helpers",
    signal,
    (abortSignal) => docker.listContainers({ all: true, filters: { label }, abortSignal }),
  );
  if (!listed.ok) return;
  for (const { Id } of listed.value) await removeHelper(docker.getContainer(Id), signal);
}

async function importEmpty(docker: Engine, signal: AbortSignal): Promise<Answer<undefined>> {
  const answer = await ask(
    "import the helpers' image",
    signal,
    (abortSignal) => docker.importImage(Readable.from([TAR_END]), { ...IMAGE, abortSignal }),
  );
  if (!answer.ok) return answer;
  for await (
    const { error } of jsonLines<{ error?: string }>(bytesOf(readable(answer.value), signal))
  ) {
    if (error !== undefined) return { ok: false, kind: "refused", message: error };
  }
  return { ok: true, value: undefined };
}
