/**
 * What a simulated container has used: a share of its reservation that follows from its task, growing
 * with the time that it runs. Pure.
 *
 * @module
 */
import type { Usage } from "../../kv/schema/inside.ts";
import type { SimContainer } from "./engine.ts";

const MIB = 1024 * 1024;
/** Of a container that reserves nothing. */
const SMALL = { cpus: 0.05, memoryMiB: 16 };
const RX_BYTES_PER_SECOND = 20_000;
const TX_BYTES_PER_SECOND = 60_000;

export function simUsage(
  { taskId, assignment, startedMs, execs }: SimContainer,
  { nowMs, wallMs, memoryMiB }: { nowMs: number; wallMs: number; memoryMiB: number },
): Usage {
  const { reserve, limit } = assignment.template;
  const share = shareOf(taskId);
  const ranMs = Math.max(0, nowMs - startedMs);
  const seconds = ranMs / 1000;
  const cpus = reserve.cpus || SMALL.cpus;
  return {
    atMs: wallMs,
    cpuMs: ranMs * cpus * share,
    memoryBytes: Math.round((reserve.memoryMiB || SMALL.memoryMiB) * MIB * share),
    memoryLimitBytes: (limit.memoryMiB || memoryMiB) * MIB,
    rxBytes: Math.round(seconds * RX_BYTES_PER_SECOND * share),
    txBytes: Math.round(seconds * TX_BYTES_PER_SECOND * share),
    readBytes: 0,
    writtenBytes: 0,
    pids: 1 + execs.size,
  };
}

/** Between 0.2 and 0.9, the same for the same task. */
function shareOf(taskId: string): number {
  let hash = 0;
  for (const char of taskId) hash = (hash * 31 + char.charCodeAt(0)) % 1_000_003;
  return 0.2 + 0.7 * (hash / 1_000_003);
}
