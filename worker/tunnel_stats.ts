/**
 * The agent's side of statistics: a line for every interval, with what each running task has used.
 *
 * No more than {@link AT_ONCE} calls are with the engine at a time, and a task whose call fails or takes
 * too long is missing from that line only.
 *
 * @module
 */
import { CHANNEL } from "../kv/schema/agent.ts";
import type { NodeUsage, StatsOptions, TaskUsage } from "../kv/schema/inside.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Runtime } from "./runtime.ts";
import type { Frames } from "./tunnel_socket.ts";

const AT_ONCE = 8;
const CALL_MS = 5_000;

export async function serveStats(
  { runtime, clock }: { runtime: Pick<Runtime, "list" | "inside">; clock: Clock },
  frames: Frames,
  options: StatsOptions,
): Promise<void> {
  const wanted = options.tasks && new Set(options.tasks);
  while (!frames.signal.aborted) {
    const startMs = clock.monoMs();
    const listed = await runtime.list(within(frames.signal));
    if (!listed.ok) return frames.control({ type: "error", message: listed.message });
    const running = listed.value
      .filter(({ state, taskId }) => state === "running" && (wanted?.has(taskId) ?? true))
      .map(({ taskId }) => taskId);
    const line: NodeUsage = { tasks: await sample(runtime, running, frames.signal) };
    const text = new TextEncoder().encode(JSON.stringify(line) + "\n");
    if (!await frames.data(CHANNEL.stdout, text)) return;
    const leftMs = options.intervalMs - (clock.monoMs() - startMs);
    await clock.sleep(Math.max(0, leftMs), frames.signal);
  }
}

async function sample(
  { inside }: Pick<Runtime, "inside">,
  taskIds: readonly string[],
  signal: AbortSignal,
): Promise<TaskUsage[]> {
  const found: TaskUsage[] = [];
  const left = [...taskIds];
  const worker = async () => {
    for (let taskId = left.shift(); taskId !== undefined; taskId = left.shift()) {
      const usage = await inside.stats(taskId, within(signal));
      if (usage.ok) found.push({ taskId, ...usage.value });
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, worker));
  return found;
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]);
}
