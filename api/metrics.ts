/**
 * Metrics in Prometheus' text format. Gauges are collected when asked for; only requests are counted
 * as they happen.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { countQueue, listParked } from "../kv/queue.ts";
import type { ApiDeps } from "./deps.ts";
import { leaderOf } from "./leadership.ts";

export interface Metrics {
  observe(request: { method: string; route: string; status: number; ms: number }): void;
  render(): Promise<string>;
}

/** What is counted elsewhere. */
export interface Counts {
  heldPolls(): number;
  eventStreams(): number;
  tunnels(): number;
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(
  deps: Pick<
    ApiDeps,
    "kv" | "clock" | "loadWorld" | "leader" | "feed" | "version" | "cpuSeconds"
  >,
  counts: Counts,
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Histogram({
    name: "berth_http_request_seconds",
    help: "Time to answer, by route. Held polls and streams count until their first byte",
    labelNames: ["method", "route", "status"],
    buckets: BUCKETS,
    registers,
  });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const gauges = {
    info: gauge("berth_info", "Version of the server", ["version"]),
    queued: gauge("berth_queue_depth", "Wake-ups that wait for the leader"),
    parked: gauge("berth_queue_parked", "Wake-ups whose handling kept failing"),
    nodes: gauge("berth_nodes", "Nodes by state", ["state"]),
    tasks: gauge("berth_tasks", "Tasks by state, kept history included", ["state"]),
    epoch: gauge("berth_leader_epoch", "Epoch of the leader, 0 when none is known"),
    self: gauge("berth_leader_self", "1 when this process leads"),
    logHead: gauge("berth_log_head", "Newest record of the change log"),
    polls: gauge("berth_polls_held", "Polls of agents that are held now"),
    streams: gauge("berth_event_streams", "Event streams that are open now"),
    tunnels: gauge("berth_tunnels", "Tunnels that are open or being opened"),
    rss: gauge("process_resident_memory_bytes", "Resident memory"),
    heap: gauge("process_heap_bytes", "Used heap of the JavaScript engine"),
    started: gauge("process_start_time_seconds", "Unix time of the process' start"),
  };
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process",
    registers,
  });
  gauges.info.set({ version: deps.version }, 1);
  gauges.started.set(deps.clock.wallMs() / 1000);

  async function collect(): Promise<void> {
    const [queued, parked, world, leader] = await Promise.all([
      countQueue(deps.kv),
      listParked(deps.kv),
      deps.loadWorld(),
      leaderOf(deps),
    ]);
    gauges.queued.set(queued);
    gauges.parked.set(parked.length);
    setCounts(gauges.nodes, Array.from(world.nodes.values(), (n) => n.status?.state ?? "joining"));
    setCounts(gauges.tasks, Array.from(world.tasks.values(), (task) => task.state));
    gauges.epoch.set(leader?.epoch ?? 0);
    gauges.self.set(leader?.self ? 1 : 0);
    gauges.logHead.set(deps.feed.head());
    gauges.polls.set(counts.heldPolls());
    gauges.streams.set(counts.eventStreams());
    gauges.tunnels.set(counts.tunnels());
    const memory = Deno.memoryUsage();
    cpu.reset();
    cpu.inc(deps.cpuSeconds?.() ?? 0);
    gauges.rss.set(memory.rss);
    gauges.heap.set(memory.heapUsed);
  }

  return {
    observe({ method, route, status, ms }) {
      requests.observe({ method, route, status: String(status) }, ms / 1000);
    },
    async render() {
      await collect();
      return await registry.metrics();
    },
  };
}

function setCounts(gauge: Gauge, states: readonly string[]): void {
  gauge.reset();
  const counts = new Map<string, number>();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  for (const [state, count] of counts) gauge.set({ state }, count);
}
