/**
 * Metrics in Prometheus' text format. Gauges are collected when asked for; only requests are counted
 * as they happen.
 *
 * @module
 */
import { countQueue, listParked } from "../kv/queue.ts";
import type { ApiDeps } from "./deps.ts";
import { createHistogram, exposition, type Family, type Sample } from "./exposition.ts";
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
  const requests = createHistogram(["method", "route", "status"], BUCKETS);
  const startedMs = deps.clock.wallMs();

  async function gauges(): Promise<Family[]> {
    const [queued, parked, world, leader] = await Promise.all([
      countQueue(deps.kv),
      listParked(deps.kv),
      deps.loadWorld(),
      leaderOf(deps),
    ]);
    const nodes = Array.from(world.nodes.values(), (node) => node.status?.state ?? "joining");
    const tasks = Array.from(world.tasks.values(), (task) => task.state);
    const memory = Deno.memoryUsage();
    return [
      gauge("berth_info", "Version of the server", [
        { labels: { version: deps.version }, value: 1 },
      ]),
      gauge("berth_queue_depth", "Wake-ups that wait for the leader", queued),
      gauge("berth_queue_parked", "Wake-ups whose handling kept failing", parked.length),
      gauge("berth_nodes", "Nodes by state", byState(nodes)),
      gauge("berth_tasks", "Tasks by state, kept history included", byState(tasks)),
      gauge("berth_leader_epoch", "Epoch of the leader, 0 when none is known", leader?.epoch ?? 0),
      gauge("berth_leader_self", "1 when this process leads", leader?.self ? 1 : 0),
      gauge("berth_log_head", "Newest record of the change log", deps.feed.head()),
      gauge("berth_polls_held", "Polls of agents that are held now", counts.heldPolls()),
      gauge("berth_event_streams", "Event streams that are open now", counts.eventStreams()),
      gauge("berth_tunnels", "Tunnels that are open or being opened", counts.tunnels()),
      gauge("process_resident_memory_bytes", "Resident memory", memory.rss),
      gauge("process_heap_bytes", "Used heap of the JavaScript engine", memory.heapUsed),
      gauge("process_start_time_seconds", "Unix time of the process' start", startedMs / 1000),
    ];
  }

  return {
    observe({ method, route, status, ms }) {
      requests.observe([method, route, String(status)], ms / 1000);
    },
    async render() {
      return exposition([
        {
          name: "berth_http_request_seconds",
          help: "Time to answer, by route. Held polls and streams count until their first byte",
          type: "histogram",
          samples: requests.samples(),
        },
        ...await gauges(),
        {
          name: "process_cpu_seconds_total",
          help: "CPU time of the process",
          type: "counter",
          samples: [{ value: deps.cpuSeconds?.() ?? 0 }],
        },
      ]);
    },
  };
}

function gauge(name: string, help: string, samples: number | Sample[]): Family {
  const all = typeof samples === "number" ? [{ value: samples }] : samples;
  return { name, help, type: "gauge", samples: all };
}

function byState(states: readonly string[]): Sample[] {
  const counts = new Map<string, number>();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  return Array.from(counts, ([state, value]) => ({ labels: { state }, value }));
}
