/**
 * The engine's statistics as what a container has used. Pure.
 *
 * @module
 */
import type { Usage } from "../../kv/schema/inside.ts";

/** The parts of the engine's answer that are used. Podman and old engines leave some out. */
export interface EngineStats {
  read?: string;
  cpu_stats?: { cpu_usage?: { total_usage?: number } };
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> };
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>;
  blkio_stats?: {
    io_service_bytes_recursive?: { op?: string; value?: number }[] | null;
  };
  pids_stats?: { current?: number };
}

const NS_PER_MS = 1e6;
/** The kernel's way to say that there is no limit. */
const UNLIMITED_BYTES = 2 ** 60;

/** Undefined for a container that does not run: the engine answers with nothing in it then. */
export function usageOf(stats: EngineStats): Usage | undefined {
  const { read = "", cpu_stats: cpu, memory_stats: memory, pids_stats: pids } = stats;
  const atMs = Date.parse(read);
  if (!(atMs > 0) || memory?.usage === undefined) return undefined;
  const networks = Object.values(stats.networks ?? {});
  const blocks = stats.blkio_stats?.io_service_bytes_recursive ?? [];
  const moved = (op: string) =>
    sum(blocks.filter((one) => one.op?.toLowerCase() === op).map((one) => one.value));
  // What is cached of files is given back when there is need (cgroups of version 1 and 2).
  const { total_inactive_file: old, inactive_file: cached = old ?? 0 } = memory.stats ?? {};
  const limited = memory.limit !== undefined && memory.limit < UNLIMITED_BYTES;
  return {
    atMs,
    cpuMs: (cpu?.cpu_usage?.total_usage ?? 0) / NS_PER_MS,
    memoryBytes: Math.max(0, memory.usage - (old ?? cached)),
    ...(limited ? { memoryLimitBytes: memory.limit } : {}),
    rxBytes: sum(networks.map((network) => network.rx_bytes)),
    txBytes: sum(networks.map((network) => network.tx_bytes)),
    readBytes: moved("read"),
    writtenBytes: moved("write"),
    pids: pids?.current ?? 0,
  };
}

function sum(values: (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}
