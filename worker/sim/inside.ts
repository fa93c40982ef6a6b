/**
 * Looking and reaching into simulated containers.
 *
 * @module
 */
import type { AttachSession, Inside, Outcome, OutputChunk } from "../runtime.ts";
import { createChannel } from "./channel.ts";
import type { LogLine, SimContainer, SimEngine } from "./engine.ts";
import { newFiles, readFiles, type SimFiles, statFile, writeFiles } from "./files.ts";
import { simUsage } from "./usage.ts";

/** How a call of the runtime is carried out: with its time, and with the engine's faults. */
export type Perform = <T>(
  operation: keyof Inside,
  signal: AbortSignal,
  run: () => Outcome<T> | Promise<Outcome<T>>,
) => Promise<Outcome<T>>;

export function createSimInside(engine: SimEngine, nodeId: string, perform: Perform): Inside {
  const { clock, capacity } = engine.options;

  /** Carries out a call on a container that is there. */
  function on<T>(
    operation: keyof Inside,
    taskId: string,
    signal: AbortSignal,
    run: (container: SimContainer) => Outcome<T> | Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    return perform(operation, signal, () => {
      const container = engine.get(nodeId, taskId);
      return container ? run(container) : refused(`no such container: task ${taskId}`);
    });
  }

  return {
    stats: (taskId, signal) =>
      on("stats", taskId, signal, (container) => {
        if (!container.running) return refused(`the container of task ${taskId} does not run`);
        const now = { nowMs: clock.monoMs(), wallMs: clock.wallMs() };
        const { memoryMiB } = capacity;
        return { ok: true, value: simUsage(container, { ...now, memoryMiB }) };
      }),
    attach: (taskId, { replay }, signal) =>
      on(
        "attach",
        taskId,
        signal,
        (container) =>
          container.running
            ? { ok: true, value: attached(engine, container, container.running.signal, replay) }
            : refused(`the container of task ${taskId} does not run`),
      ),
    stat: (taskId, path, signal) =>
      on(
        "stat",
        taskId,
        signal,
        (container) => ({ ok: true, value: statFile(filesOf(container), path) }),
      ),
    read: (taskId, path, signal) =>
      on("read", taskId, signal, (container) => {
        const tar = readFiles(filesOf(container), path);
        if (!tar) return refused(`Could not find the file ${path} in the container`);
        async function* content() {
          yield tar ?? new Uint8Array();
        }
        return { ok: true, value: content() };
      }),
    write: (taskId, directory, tar, signal) =>
      on<void>("write", taskId, signal, async (container) => {
        const refusal = await writeFiles(filesOf(container), directory, tar);
        return refusal === undefined ? { ok: true, value: undefined } : refused(refusal);
      }),
  };
}

/** Most containers never have any. */
function filesOf(container: SimContainer): SimFiles {
  return container.fs ??= newFiles();
}

function attached(
  engine: SimEngine,
  container: SimContainer,
  run: AbortSignal,
  replay = false,
): AttachSession {
  const { followers, input } = container;
  const output = createChannel<LogLine>(undefined, () => followers.delete(output));
  if (replay) { for (const line of container.logs) output.push(line); }
  followers.add(output);
  return {
    output: output as AsyncIterable<OutputChunk>,
    write(data) {
      input?.push(data.slice());
      return Promise.resolve();
    },
    endInput: () => input?.end(),
    resize: () => Promise.resolve(),
    signal(name) {
      engine.signal(container, name);
      return Promise.resolve();
    },
    exitCode: () => Promise.resolve(run.aborted ? container.status.exitCode : undefined),
    close() {
      output.end();
      return Promise.resolve();
    },
  };
}

function refused(message: string): Outcome<never> {
  return { ok: false, kind: "refused", message };
}
