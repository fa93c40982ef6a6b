/**
 * Looking and reaching into a container: its statistics, its files, its main process.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { z } from "zod";
import type { AttachOptions, FileStat } from "../../kv/schema/inside.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { AttachSession, EngineFailure, Inside, Outcome, OutputChunk } from "../runtime.ts";
import { putArchive, wholeArchive } from "./archive.ts";
import { type Answer, ask, type Engine, failure, readable, refused } from "./client.ts";
import type { Containers } from "./containers.ts";
import { CALL_MS, POLL_MS, within, write } from "./exec.ts";
import { bytesOf, demux } from "./streams.ts";
import { type EngineStats, usageOf } from "./usage.ts";

export interface InsideDeps {
  docker: Engine;
  containers: Containers;
  clock: Clock;
  /** Aborts when the runtime is closed. */
  closed: AbortSignal;
}

const STAT_HEADER = "x-docker-container-path-stat";

export function createInside(deps: InsideDeps): Inside {
  const { docker, containers, closed } = deps;

  /** The id of a container that is surely there. */
  async function present(taskId: string, signal: AbortSignal): Promise<Answer<string>> {
    const found = await containers.on(taskId, signal, (id) => containers.inspect(id, signal));
    if (!found.ok) return found;
    return found.gone ? gone(taskId) : { ok: true, value: found.value.Id };
  }

  return {
    async stats(taskId, signal) {
      const answer = await containers.on(
        taskId,
        signal,
        (id) =>
          ask("stats", signal, (abortSignal) => {
            const options = { stream: false, "one-shot": true, abortSignal };
            return docker.getContainer(id).stats(options as { stream: false });
          }),
      );
      if (!answer.ok) return failure(answer);
      const usage = answer.gone ? undefined : usageOf(answer.value as unknown as EngineStats);
      if (usage) return { ok: true, value: usage };
      return refused(`the container of task ${taskId} does not run`);
    },

    attach: (taskId, options, signal) => attach(deps, taskId, options, signal),

    async stat(taskId, path, signal) {
      const id = await present(taskId, signal);
      if (!id.ok) return failure(id);
      const answer = await ask(
        "stat",
        signal,
        (abortSignal) =>
          docker.getContainer(id.value).infoArchive({ path, abortSignal } as { path: string }),
      );
      if (!answer.ok) {
        return answer.status === 404 ? { ok: true, value: undefined } : failure(answer);
      }
      const response = readable(answer.value) as ReturnType<typeof readable> & Headed;
      response.destroy();
      return { ok: true, value: statOf(String(response.headers[STAT_HEADER] ?? "")) };
    },

    async read(taskId, path, signal) {
      const id = await present(taskId, signal);
      if (!id.ok) return failure(id);
      const opened = await ask(
        "read",
        signal,
        (abortSignal) =>
          docker.getContainer(id.value).getArchive({ path, abortSignal } as { path: string }),
      );
      if (!opened.ok) return failure(opened);
      const until = AbortSignal.any([signal, closed]);
      return { ok: true, value: wholeArchive(readable(opened.value), until) };
    },

    async write(taskId, directory, tar, signal) {
      const id = await present(taskId, signal);
      if (!id.ok) return failure(id);
      const options = {
        what: "write",
        path: directory,
        noOverwriteDirNonDir: "1",
        signal,
      } as const;
      const written = await putArchive(docker.getContainer(id.value), tar, options);
      return written.ok ? { ok: true, value: undefined } : failure(written);
    },
  };
}

interface Headed {
  headers: Record<string, string | string[] | undefined>;
}

/** The parts of the engine's answer that are used; `mode` is Go's. */
const PathStat = z.object({
  name: z.string(),
  size: z.number(),
  mode: z.number(),
  linkTarget: z.string().optional(),
});
const GO_MODE = { directory: 2 ** 31, link: 2 ** 27, other: 2 ** 26 + 2 ** 25 + 2 ** 24 + 2 ** 21 };

/** Reads the header in which the engine describes a path. */
export function statOf(header: string): FileStat | undefined {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(header), byteOf)));
  } catch {
    return undefined;
  }
  const parsed = PathStat.safeParse(json);
  if (!parsed.success) return undefined;
  const { name, size, mode, linkTarget } = parsed.data;
  // JavaScript's bit operators know 32 bits with a sign.
  const has = (bits: number) => (BigInt(mode) & BigInt(bits)) !== 0n;
  const type = has(GO_MODE.directory)
    ? "directory"
    : has(GO_MODE.link)
    ? "link"
    : has(GO_MODE.other)
    ? "other"
    : "file";
  return { name, type, size, ...(type === "link" && linkTarget ? { target: linkTarget } : {}) };
}

function byteOf(char: string): number {
  return char.charCodeAt(0);
}

async function attach(
  { docker, containers, clock, closed }: InsideDeps,
  taskId: string,
  options: AttachOptions,
  signal: AbortSignal,
): Promise<Outcome<AttachSession>> {
  const found = await containers.on(taskId, signal, (id) => containers.inspect(id, signal));
  if (!found.ok) return failure(found);
  if (found.gone) return gone(taskId);
  const { Id, State, Config } = found.value;
  if (!State.Running) return refused(`the container of task ${taskId} does not run`);
  const container = docker.getContainer(Id);
  const opened = await ask("attach", signal, (abortSignal) =>
    container.attach({
      stream: true,
      logs: options.replay ?? false,
      hijack: true,
      stdin: options.stdin,
      stdout: true,
      stderr: true,
      abortSignal,
    }));
  if (!opened.ok) return failure(opened);
  const stream = opened.value as unknown as Duplex;
  stream.on("error", () => {});
  let onEnd = () => {};
  const ended = new Promise<void>((resolve) => onEnd = resolve);
  async function* output(): AsyncGenerator<OutputChunk> {
    try {
      yield* demux(bytesOf(stream, closed), Config.Tty);
    } finally {
      onEnd();
    }
  }
  const session: AttachSession = {
    output: output(),
    write: (data) => write(stream, data),
    endInput: () => void stream.end(),
    async resize(columns, rows) {
      await within(
        clock,
        (s) =>
          ask(
            "resize",
            s,
            (abortSignal) => container.resize({ w: columns, h: rows, abortSignal } as object),
          ),
      );
    },
    async signal(name) {
      await within(
        clock,
        (s) => ask("kill", s, (abortSignal) => container.kill({ signal: name, abortSignal })),
      );
    },
    async exitCode() {
      await ended;
      // The engine notes the end a moment after the output has ended.
      for (let round = 0; round < CALL_MS / POLL_MS; round++) {
        const now = await within(clock, (s) => containers.inspect(Id, s));
        if (!now.ok) return now.status === 404 ? 137 : undefined;
        if (!now.value.State.Running) return now.value.State.ExitCode;
        await clock.sleep(POLL_MS);
      }
      return undefined;
    },
    close() {
      stream.destroy();
      onEnd();
      return Promise.resolve();
    },
  };
  if (options.columns && options.rows) {
    // A program draws anew when its size changes, and who attaches again sees nothing before.
    await session.resize(options.columns, options.rows + 1);
    await session.resize(options.columns, options.rows);
  }
  return { ok: true, value: session };
}

function gone(taskId: string): EngineFailure {
  return refused(`no such container: task ${taskId}`);
}
