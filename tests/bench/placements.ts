/**
 * Durable placements: one request for many tasks on many simulated nodes, from the request to the last
 * commit, through the API, the leader's tick and a database file. With `--rules` the same again with a
 * constraint, anti-affinity and a spread over zones on every task, and the time of one plan of 10,000 tasks
 * on 1,000 nodes, without a database.
 *
 * @module
 */
import { TEST_VAULT } from "../support/vault.ts";
import { monotonicFactory } from "ulid";
import { createApp } from "../../api/app.ts";
import { createClient } from "../../api/client.ts";
import { createLocalBeats } from "../../kv/beats.ts";
import { initCluster } from "../../kv/cluster.ts";
import { createLogFeed } from "../../kv/log.ts";
import { timestamp } from "../../kv/schema/common.ts";
import { NodeSpec } from "../../kv/schema/node.ts";
import type { Placement } from "../../kv/schema/placement.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { openStore } from "../../kv/open.ts";
import type { Kv } from "../../kv/store.ts";
import { ensureAdminToken } from "../../kv/tokens.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { plan } from "../../scheduler/plan.ts";
import { createTicker } from "../../scheduler/tick.ts";
import { emptyWorld } from "../../scheduler/world.ts";
import { putNode, putService } from "../../scheduler/world_changes.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";
import { addNodes, nodeOf, serviceOf, serviceRowOf } from "./stock.ts";
import type { z } from "zod";

export const placements: Bench = {
  name: "placements",
  summary:
    "5,000 simulated nodes, 50,000 tasks: one request to all committed (--rules: with rules too)",
  goals: "perSecond ≥ 10000, lastOverFirst ≥ 0.95; rulesPerSecond ≥ 10000, planMs ≤ 100",
  whole: { rules: "on" },
  run,
};

const RULES: z.input<typeof Placement> = {
  constraints: ["node.platform.os==linux", "node.labels.zone!=none"],
  affinity: [{ to: { service: "bench" }, anti: true }],
  spread: [{ label: "zone", required: true }],
};

async function run(options: BenchOptions): Promise<BenchResult> {
  const plain = await place(options, {});
  if (options.flags["rules"] === undefined) return plain;
  options.say("  with rules:");
  const { figures: { perSecond = NaN, lastOverFirst = NaN } } = await place(options, RULES);
  const figures = {
    ...plain.figures,
    rulesPerSecond: perSecond,
    rulesLastOverFirst: lastOverFirst,
    planMs: round(median(Array.from({ length: PLANS }, timePlan))),
  };
  return { figures, samples: 2 * plain.samples };
}

/** Plans measured; the first ones also warm up. */
const PLANS = 9;

/** One plan of 10,000 tasks with rules on 1,000 nodes, in ms. */
function timePlan(): number {
  const world = emptyWorld();
  const at = timestamp(0);
  for (let n = 0; n < 1000; n++) {
    const node = nodeOf(`n${n}`, n);
    const spec = NodeSpec.parse({});
    putNode(world, { node, spec, status: { state: "ready", since: at, why: "bench" } }, 0);
  }
  const { row, template } = serviceRowOf("bench", specOf(10_000, RULES));
  putService(world, row, template);
  const begin = performance.now();
  const { actions } = plan(world, 0, { services: ["bench"], nodes: [] }, {
    nodeTtlMs: 6000,
    limit: 10_000,
    historyLimit: 5,
  });
  const tookMs = performance.now() - begin;
  const placed = actions.filter((action) => action.kind === "create" && action.nodeId).length;
  if (placed !== 10_000) throw new Error(`planned ${placed} placements of 10000`);
  return tookMs;
}

function specOf(replicas: number, placement: z.input<typeof Placement>): ServiceSpecInput {
  const { template, ...rest } = serviceOf("bench", replicas);
  return { ...rest, template: { ...template, placement } };
}

async function place(
  options: BenchOptions,
  placement: z.input<typeof Placement>,
): Promise<BenchResult> {
  const nodes = intFlag(options, "nodes", 5000);
  const tasks = intFlag(options, "tasks", 50_000);
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const opened = await openStore(`${dir}/berth.db`);
  if (!opened.ok) throw new Error(opened.problem);
  const { kv } = opened.store;
  const stop = new AbortController();
  try {
    const plane = await startPlane(kv, stop.signal);
    const nodeIds = (await addNodes(kv, nodes, plane.newId)).map(({ id }) => id);
    const beating = setInterval(() => nodeIds.forEach(plane.beat), 1000);
    const running = plane.run();
    await plane.placed({ count: 0 });
    const result = await measure(plane, specOf(tasks, placement), tasks, options);
    clearInterval(beating);
    stop.abort();
    await running;
    await plane.close();
    return result;
  } finally {
    stop.abort();
    opened.store.close();
    await Deno.remove(dir, { recursive: true });
  }
}

interface Plane {
  newId: () => string;
  client: ReturnType<typeof createClient>;
  beat: (nodeId: string) => void;
  run(): Promise<unknown>;
  close(): Promise<void>;
  /** When each batch of placements was seen committed, until `count` are. */
  placed(options: { count: number }): Promise<{ atMs: number; count: number }[]>;
}

async function startPlane(kv: Kv, signal: AbortSignal): Promise<Plane> {
  const ulid = monotonicFactory();
  const newId = () => ulid().toLowerCase();
  const clock = systemClock;
  const replicaId = newId();
  await initCluster(kv, { newId, wallMs: clock.wallMs() });
  const randomToken = () => "t".repeat(43);
  const token = await ensureAdminToken({ kv, clock, newId, randomToken });
  const feed = await createLogFeed({ kv, clock });
  const beats = createLocalBeats(clock);
  const log = () => {};
  const ticker = createTicker({
    ...{ kv, clock, newId, log, replicaId, exclusive: true },
    nodeTtlMs: 6000,
    leaderTtlMs: 5000,
    historyLimit: 5,
    logLimit: 10_000,
    beats,
  });
  const app = createApp({
    vault: TEST_VAULT,
    ...{ kv, clock, newId, randomToken, feed, beats, replicaId },
    log: { error: () => {} },
    version: "bench",
    nodeTtlMs: () => 6000,
    loadWorld: async () => ticker.world() ?? await loadWorld(kv, clock.monoMs(), () => {}),
    leader: () => ({ epoch: 1, self: true }),
  });
  return {
    newId,
    client: createClient({
      url: "http://bench",
      fetch: (request) => app.fetch(request),
      timeoutMs: 60_000,
      ...(token === undefined ? {} : { token }),
    }),
    beat: (nodeId) => beats.beat(nodeId),
    close: () => app.close(),
    run: () => Promise.all([ticker.run(signal), feed.run(signal)]),
    placed({ count }) {
      const batches: { atMs: number; count: number }[] = [];
      let seen = 0;
      return new Promise((resolve) => {
        if (count === 0) return resolve(batches);
        const unsubscribe = feed.subscribe((entries) => {
          for (const { record } of entries) {
            const placed = record.events.filter((e) => e.type === "task.assigned").length;
            if (placed === 0) continue;
            seen += placed;
            // The leader's own stamp: deliveries come in bunches.
            batches.push({ atMs: Date.parse(record.at), count: placed });
          }
          if (seen < count) return;
          unsubscribe();
          resolve(batches);
        });
      });
    },
  };
}

async function measure(
  plane: Plane,
  spec: ServiceSpecInput,
  tasks: number,
  options: BenchOptions,
): Promise<BenchResult> {
  const all = plane.placed({ count: tasks });
  const beginMs = systemClock.wallMs();
  const created = await plane.client.createService(spec);
  if (!created.ok) throw new Error(JSON.stringify(created.error));
  const batches = await all;
  const endMs = systemClock.wallMs();
  const perSecond = tasks / ((endMs - beginMs) / 1000);
  const marks = decileMarks(batches, tasks, beginMs);
  marks.forEach((ms, i) =>
    options.say(`  decile ${i + 1}: ${Math.round(tasks / 10 / ms * 1000)}/s`)
  );
  const first = marks[0] ?? NaN, last = marks.at(-1) ?? NaN;
  return {
    figures: {
      perSecond: Math.round(perSecond),
      lastOverFirst: round(first / last),
      totalMs: Math.round(endMs - beginMs),
    },
    samples: tasks,
  };
}

/** How many ms each tenth of the tasks took. */
function decileMarks(
  batches: readonly { atMs: number; count: number }[],
  tasks: number,
  beginMs: number,
): number[] {
  const marks: number[] = [];
  let seen = 0, sinceMs = beginMs;
  for (const batch of batches) {
    seen += batch.count;
    while (marks.length < 10 && seen >= tasks / 10 * (marks.length + 1)) {
      marks.push(batch.atMs - sinceMs);
      sinceMs = batch.atMs;
    }
  }
  return marks;
}
