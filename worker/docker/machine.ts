/**
 * Changes of the machine's network that take CAP_NET_ADMIN, which the agent does not have. The engine does:
 * this runs the machine's own programs in a container that has the machine's network, that capability
 * and no other, and of the machine's files only its programs, not to be written.
 *
 * @module
 */
import type { Outcome } from "../runtime.ts";
import { ask, createContainer, type Engine, openLogs, refused } from "./client.ts";
import { importTar } from "./offline_image.ts";
import { bytesOf, demux } from "./streams.ts";

/** An image with nothing in it. */
const EMPTY_IMAGE = "berth-empty:1";
const EMPTY_TAR = new Uint8Array(1024);
const PROGRAMS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/nix"];
const MAX_SAID_CHARS = 300;

export interface MachineScript {
  /** What the container is called, and its label: one at a time. */
  what: string;
  nodeId: string;
  /** For sh, with its arguments from $0 on. */
  script: string;
  args: readonly string[];
  /** It may write the kernel's settings of the network. */
  settings?: boolean;
}

/** Runs the script; refused with what it said when it fails. */
export async function runOnMachine(
  docker: Engine,
  { what, nodeId, script, args, settings = false }: MachineScript,
  signal: AbortSignal,
): Promise<Outcome> {
  const here = await Promise.all(PROGRAMS.map(exists));
  const programs = PROGRAMS.filter((_, i) => here[i]);
  const name = `berth-${what}-${nodeId}`;
  const make = () =>
    ask("create", signal, (abortSignal) =>
      createContainer(docker, {
        name,
        Image: EMPTY_IMAGE,
        Entrypoint: ["sh", "-c", script, ...args],
        Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"],
        Labels: { "berth.helper": what },
        HostConfig: {
          NetworkMode: "host",
          UsernsMode: "host",
          CapDrop: ["ALL"],
          CapAdd: ["NET_ADMIN"],
          SecurityOpt: ["no-new-privileges", "label=disable"],
          Binds: programs.map((path) => `${path}:${path}:ro`),
          ...(settings ? { ReadonlyPaths: [] } : {}),
        },
      }, abortSignal));
  let made = await make();
  if (!made.ok && made.status === 409) { // An earlier agent died in the middle of this.
    await ask(
      "remove",
      signal,
      (s) => docker.getContainer(name).remove({ force: true, abortSignal: s }),
    );
    made = await make();
  }
  if (!made.ok && made.status === 404) {
    const imported = await importTar(docker, { tag: EMPTY_IMAGE, tar: EMPTY_TAR }, signal);
    if (!imported.ok) return imported;
    made = await make();
  }
  if (!made.ok) return refused(made.message);
  const container = made.value;
  try {
    const started = await ask("start", signal, (abortSignal) => container.start({ abortSignal }));
    if (!started.ok) return refused(started.message);
    const waited = await ask("wait", signal, (abortSignal) => container.wait({ abortSignal }));
    if (!waited.ok) return waited;
    const code: number = waited.value.StatusCode;
    if (code === 0) return { ok: true, value: undefined };
    return refused(`${what}: exit code ${code}: ${await said(docker, container.id, signal)}`);
  } finally {
    await ask("remove", signal, (abortSignal) => container.remove({ force: true, abortSignal }));
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

async function said(docker: Engine, id: string, signal: AbortSignal): Promise<string> {
  const query = { stdout: true, stderr: true, follow: false };
  const opened = await ask("logs", signal, (s) => openLogs(docker, id, query, s));
  if (!opened.ok) return opened.message;
  const decoder = new TextDecoder();
  let text = "";
  for await (const { data } of demux(bytesOf(opened.value, signal), false)) {
    text += decoder.decode(data, { stream: true });
    if (text.length > MAX_SAID_CHARS) break;
  }
  return text.replace(/\s+/g, " ").trim().slice(0, MAX_SAID_CHARS);
}
