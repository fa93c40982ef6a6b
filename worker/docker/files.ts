/**
 * Files in a container that is about to start, whatever its image and wherever its engine is.
 *
 * 1. A secret is never on a disk of the engine's machine: it is in a memory file system, a volume of the
 *    container's own, which the engine unmounts (and so empties) when nobody uses it. So it is filled
 *    anew before each start.
 * 2. The engine mounts a volume for as long as an archive is being written into some container with it.
 *    A helper has the volume too: its archive is kept open until the task's container has started, so the
 *    files are there from the first instruction on and nothing has to run to keep them.
 * 3. The container starts only after the last file was seen, through the container itself, as written.
 *
 * Everything else (configs, links to secrets) is written into the container's own layer.
 *
 * @module
 */
import { Readable } from "node:stream";
import type { Clock } from "../../kv/schema/time.ts";
import { SECRETS_DIR } from "../../kv/schema/sealed.ts";
import type { ContainerFile } from "../task_files.ts";
import {
  type Answer,
  ask,
  type Container,
  type Engine,
  type Inspection,
  refused,
} from "./client.ts";
import { createHelper, HELPER_DIR, removeHelper } from "./helper.ts";
import { joined, TAR_END, tarEntry } from "../../kv/schema/tar.ts";

export interface FilesDeps {
  docker: Engine;
  nodeId: string;
  clock: Clock;
}

/** The mount for secrets, for the container's options. Only its owner, root, can write there. */
export const SECRETS_MOUNT = {
  Type: "volume" as const,
  Source: "",
  Target: SECRETS_DIR,
  VolumeOptions: {
    NoCopy: true,
    Labels: {},
    DriverConfig: {
      Name: "local",
      Options: {
        type: "tmpfs",
        device: "tmpfs",
        o: "size=64m,mode=0755,nosuid,nodev,noexec",
      },
    },
  },
};

const LOOK_AGAIN_MS = 5;
/** What is written of a file comes last: the time, which is this one. */
const WRITTEN_MS = 0;

/** Puts the files into the container and starts it with `start`. */
export async function startWithFiles<T>(
  deps: FilesDeps,
  info: Inspection,
  files: readonly ContainerFile[],
  options: { signal: AbortSignal; start: () => Promise<Answer<T>> },
): Promise<Answer<T>> {
  const { signal, start } = options;
  const container = deps.docker.getContainer(info.Id);
  const layer = layerEntries(files);
  if (layer.length > 0) {
    const put = await writeArchive(container, "/", joined([...layer, TAR_END]), signal);
    if (!put.ok) return put;
  }
  const secrets = files.filter(({ kind }) => kind === "secret");
  if (secrets.length === 0) return await start();
  const volume = info.Mounts.find(({ Destination }) => Destination === SECRETS_DIR)?.Name;
  if (volume === undefined) return refused(`the container has no volume at ${SECRETS_DIR}`);
  const name = `berth-helper-${info.Id.slice(0, 12)}`;
  const helper = await createHelper(deps.docker, { name, nodeId: deps.nodeId, volume, signal });
  if (!helper.ok) return helper;
  try {
    return await startWhileHeld(deps, { helper: helper.value, container, secrets, signal, start });
  } finally {
    // Not within the caller's deadline: a helper that stays would keep the volume from being removed.
    await removeHelper(helper.value, AbortSignal.timeout(REMOVE_MS));
  }
}

const REMOVE_MS = 10_000;

async function startWhileHeld<T>(
  { clock }: FilesDeps,
  { helper, container, secrets, signal, start }: {
    helper: Container;
    container: Container;
    secrets: readonly ContainerFile[];
    signal: AbortSignal;
    start: () => Promise<Answer<T>>;
  },
): Promise<Answer<T>> {
  let held: Readable | undefined;
  let ended: Answer<unknown> | undefined;
  const entries = joined(secretEntries(secrets));
  const writing = ask("write secrets", signal, (abortSignal) => {
    held = new Readable({ read() {} });
    held.push(entries);
    return helper.putArchive(held, { path: HELPER_DIR, abortSignal });
  }).then((answer) => ended = answer);
  const last = secrets.at(-1);
  const path = last ? inMemory(last) : "";
  try {
    while (true) { // invariant 3
      if (ended) return ended.ok ? refused("the engine took the secrets too early") : ended;
      const looked = await isWritten(container, `${SECRETS_DIR}/${path}`, signal);
      if (!looked.ok) return looked;
      if (looked.value) break;
      await clock.sleep(LOOK_AGAIN_MS, signal);
      if (signal.aborted) return { ok: false, kind: "unavailable", message: "start: given up" };
    }
    return await start();
  } finally {
    held?.push(TAR_END);
    held?.push(null);
    await writing;
  }
}

/** Whether the file is there as it was sent, owner and mode included. */
async function isWritten(
  container: Container,
  path: string,
  signal: AbortSignal,
): Promise<Answer<boolean>> {
  const answer = await ask("look for a secret", signal, async (abortSignal) => {
    const response = await container.infoArchive({ path, abortSignal } as { path: string });
    return response as unknown as { headers: Record<string, string>; resume(): void };
  });
  if (!answer.ok) return answer.status === 404 ? { ok: true, value: false } : answer;
  answer.value.resume();
  const stat = answer.value.headers["x-docker-container-path-stat"] ?? "";
  const { mtime } = JSON.parse(atob(stat)) as { mtime: string };
  return { ok: true, value: Date.parse(mtime) === WRITTEN_MS };
}

function writeArchive(
  container: Container,
  path: string,
  tar: Uint8Array,
  signal: AbortSignal,
): Promise<Answer<unknown>> {
  return ask(
    "write files",
    signal,
    (abortSignal) => container.putArchive(Readable.from([tar]), { path, abortSignal }),
  );
}

/** Configs, and links to the secrets that are asked for at another place. */
function layerEntries(files: readonly ContainerFile[]): Uint8Array[] {
  return files.flatMap((file) => {
    const name = file.path.slice(1);
    if (file.kind === "config") return [tarEntry({ ...file, name, type: "file" })];
    if (isInSecretsDir(file)) return [];
    const target = `${SECRETS_DIR}/${inMemory(file)}`;
    return [tarEntry({ name, type: "link", mode: 0o777, target })];
  });
}

function secretEntries(secrets: readonly ContainerFile[]): Uint8Array[] {
  const directories = new Set<string>();
  for (const secret of secrets) {
    const steps = inMemory(secret).split("/").slice(0, -1);
    steps.forEach((_, i) => directories.add(`${steps.slice(0, i + 1).join("/")}/`));
  }
  return [
    ...[...directories].map((name) => tarEntry({ name, type: "directory", mode: 0o755 })),
    ...secrets.map((secret) => tarEntry({ ...secret, name: inMemory(secret), type: "file" })),
  ];
}

function isInSecretsDir({ path }: ContainerFile): boolean {
  return path.startsWith(`${SECRETS_DIR}/`);
}

/** Where a secret's file lies in the volume. */
function inMemory(secret: ContainerFile): string {
  return secret.path.slice(isInSecretsDir(secret) ? SECRETS_DIR.length + 1 : 1);
}
