/**
 * One run: a cluster is started, lives through a bad time, is healed, and must come to rest.
 *
 * @module
 */
import { type Kv, messageOf, openStore } from "../../kv/store.ts";
import { openMemoryKv } from "../support/memory_kv.ts";
import type { FinalNode } from "./checker.ts";
import { FAULTS, heal, trouble } from "./faults.ts";
import { machineOf, MOVES } from "./moves.ts";
import type { ServiceReport } from "./rules/reports.ts";
import type { Plant } from "./planted.ts";
import { onQuietPlatform } from "./platform.ts";
import { Sim, Violation } from "./sim.ts";

export interface RunOptions {
  seed: number;
  /** A bug to build in. */
  plant?: Plant;
  /** Of which kind the database is; absent: every tenth seed has the real one. */
  database?: "model" | "real";
}

export interface RunResult {
  seed: number;
  /** What was broken; absent when all held. */
  problem?: string;
  history: string[];
  virtualMs: number;
  moves: number;
}

const REAL_EVERY = 10;
const REPLICAS = 2;
const FIRST_NODES = 3;
const START_MS = 30_000;
/** Virtual time in which a cluster without faults must come to rest. */
const REST_MS = 300_000;
/** What the last faults left behind (agents that wait, leases that run out) is over by then. */
const AFTERMATH_MS = 25_000;
/** It must stay at rest for so long. */
const CALM_MS = 20_000;
const MOVE_SHARE = 0.5;

export async function runSeed(options: RunOptions): Promise<RunResult> {
  const kv = await openDatabase(options);
  const sim = new Sim(options.seed, kv);
  let moves = 0;
  let problem: string | undefined;
  try {
    await onQuietPlatform({ stacks: false }, async () => {
      try {
        options.plant?.install(sim);
        await begin(sim);
        moves = await badTime(sim);
        await rest(sim);
        await answers(sim);
        await compare(sim);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        problem = messageOf(error);
      }
      await sim.end();
    });
  } finally {
    kv.close();
  }
  const { seed, history, timeline: { nowMs: virtualMs } } = sim;
  return { seed, history, virtualMs, moves, ...(problem === undefined ? {} : { problem }) };
}

async function openDatabase({ seed, database }: RunOptions): Promise<Kv> {
  if ((database ?? (seed % REAL_EVERY === 0 ? "real" : "model")) === "model") return openMemoryKv();
  const opened = await openStore(":memory:");
  if (!opened.ok) throw new Error(opened.problem);
  return opened.store.kv;
}

async function begin(sim: Sim): Promise<void> {
  for (let i = 0; i < REPLICAS; i++) sim.addReplica();
  const up = await sim.pass(START_MS, () => sim.user.token !== "" && sim.endpoints().length > 0);
  if (!up) sim.fail("start: no replica came up");
  void sim.user.ask("makes a join token", (client) => client.createJoinToken())
    .then((made) => sim.user.joinToken = made?.token ?? "");
  if (!await sim.pass(START_MS, () => sim.user.joinToken !== "")) sim.fail("start: no join token");
  const random = sim.random("machines");
  for (let i = 0; i < FIRST_NODES; i++) sim.addNode(machineOf(random));
}

/** Moves and faults, one after another but overlapping, until the time is over. */
async function badTime(sim: Sim): Promise<number> {
  const random = sim.random("driver");
  const details = sim.random("details");
  const steps = 60 + random.int(60);
  await sim.pass(random.between(500, 4000));
  trouble(sim);
  for (let step = 0; step < steps; step++) {
    if (random.chance(MOVE_SHARE)) {
      const move = random.weighted(MOVES);
      sim.note(`move: ${move.name}`);
      move.run(sim, details).catch((error) => sim.bug(`move ${move.name}`, error));
    } else {
      const fault = random.weighted(FAULTS);
      const whom = fault.run(sim, details);
      if (whom !== undefined) sim.note(`fault: ${fault.name} ${whom}`);
    }
    await sim.pass(random.between(50, 900));
  }
  return steps;
}

async function rest(sim: Sim): Promise<void> {
  heal(sim);
  sim.note("healed");
  for (const { name, nodeId } of sim.nodes) {
    if (nodeId === undefined) continue;
    const spec = { labels: {}, availability: "active" as const };
    void sim.user.ask(`activates ${name}`, (client) => client.putNodeSpec(name, spec));
  }
  const endMs = sim.timeline.nowMs + REST_MS;
  await sim.pass(AFTERMATH_MS);
  sim.checker.allIsWell();
  let calmSinceMs: number | undefined;
  let problems = ["nothing was looked at"];
  while (sim.timeline.nowMs < endMs) {
    await sim.pass(1000);
    problems = sim.checker.unsettled(finalNodes(sim));
    if (problems.length > 0) calmSinceMs = undefined;
    else if (calmSinceMs === undefined) calmSinceMs = sim.timeline.nowMs;
    else if (sim.timeline.nowMs - calmSinceMs >= CALM_MS) return;
  }
  throw new Violation(`convergence: ${problems.slice(0, 5).join("; ")}`);
}

/** Users are told what is so. */
async function answers(sim: Sim): Promise<void> {
  let views: ServiceReport[] | undefined;
  void sim.user.ask("lists the services", (client) => client.listServices({ limit: 100 }))
    .then((page) => views = page?.items);
  await sim.pass(START_MS, () => views !== undefined);
  const problems = views ? sim.checker.misreported(views) : ["the services cannot be listed"];
  if (problems.length > 0) throw new Violation(`reports: ${problems.join("; ")}`);
}

function finalNodes(sim: Sim): FinalNode[] {
  return sim.nodes.map(({ name, nodeId = "", control }) => ({
    name,
    nodeId,
    containers: control.containers(),
  }));
}

/** The checker has seen what the database holds. */
async function compare(sim: Sim): Promise<void> {
  const rows = await sim.database.dump();
  const seen = sim.database.mirror;
  const differs = [...rows].find(([name, value]) =>
    JSON.stringify(seen.get(name)?.value) !== JSON.stringify(value)
  );
  if (differs || rows.size !== seen.size) {
    throw new Violation(`simulation: the mirror differs from the database at ${differs?.[0]}`);
  }
}
