/**
 * One run: a cluster is started, lives through a bad time, is healed, and must come to rest.
 *
 * @module
 */
import { openStore } from "../../kv/open.ts";
import { type Kv, messageOf } from "../../kv/store.ts";
import { openMemoryKv } from "../support/memory_kv.ts";
import { type FaultKind, heal, trouble } from "./faults.ts";
import type { NodeOptions } from "./node.ts";
import { machineOf } from "./node_moves.ts";
import type { Plant } from "./plants.ts";
import { TAGGED } from "./specs.ts";
import { onQuietPlatform } from "./platform.ts";
import { rest } from "./rest.ts";
import { kindsOf, perform, scriptOf } from "./script.ts";
import { type Mode, Sim, Violation } from "./sim.ts";

export interface RunOptions {
  seed: number;
  /** A bug to build in. */
  plant?: Plant;
  /** Of which kind the database is; absent: every tenth seed has the real one. */
  database?: "model" | "real";
  /** How the control plane runs; absent: request-driven every fourth seed. */
  mode?: Mode;
  /** Which faults may happen; absent: those that the seed chooses. */
  faults?: ReadonlySet<FaultKind>;
  /** Of the seed's script, what is done; absent: all of it. */
  steps?: ReadonlySet<number>;
  /** What happens instead of the seed's script. */
  story?: Story;
  /** Virtual time in which the cluster must come to rest. */
  restMs?: number;
}

/** A story did not come to what it is about. What broke is mostly seen when the cluster is to rest. */
export class Detour extends Error {}

/** A cluster and what happens to it, told step by step. */
export interface Story {
  replicas: number;
  nodes: readonly Omit<NodeOptions, "name">[];
  run(sim: Sim): Promise<void>;
}

export interface RunResult {
  seed: number;
  /** What was broken; absent when all held. */
  problem?: string;
  history: string[];
  virtualMs: number;
  /** The numbers of the steps that were done. */
  steps: number[];
}

const REAL_EVERY = 10;
const REQUEST_DRIVEN_EVERY = 4;
const REPLICAS = [1, 2, 2, 3] as const;
const FIRST_NODES = 3;
const START_MS = 30_000;

export async function runSeed(options: RunOptions): Promise<RunResult> {
  const { seed } = options;
  const database = options.database ?? (seed % REAL_EVERY === 0 ? "real" : "model");
  const kv = await openDatabase(database);
  const mode = options.mode ??
    (seed % REQUEST_DRIVEN_EVERY === 3 ? "request-driven" : "resident");
  const sim = new Sim(seed, mode, kv);
  const steps: number[] = [];
  let problem: string | undefined;
  try {
    await onQuietPlatform(
      { stacks: false, after: (ms, run) => sim.timeline.after(ms, run) },
      async () => {
        try {
          options.plant?.install(sim);
          await begin(sim, options.story);
          const detour = options.story
            ? await tell(sim, options.story)
            : await badTime(sim, options, steps);
          await heal(sim);
          await rest(sim, options.restMs);
          await compare(sim);
          if (detour !== undefined) throw new Violation(`story: ${detour}`);
        } catch (error) {
          if (!(error instanceof Violation)) throw error;
          problem = messageOf(error);
        }
        await sim.end();
      },
    );
  } finally {
    kv.close();
  }
  const { history, timeline: { nowMs: virtualMs } } = sim;
  return { seed, history, virtualMs, steps, ...(problem === undefined ? {} : { problem }) };
}

async function openDatabase(kind: "model" | "real"): Promise<Kv> {
  if (kind === "model") return openMemoryKv();
  const opened = await openStore(":memory:");
  if (!opened.ok) throw new Error(opened.problem);
  return opened.store.kv;
}

async function begin(sim: Sim, story: Story | undefined): Promise<void> {
  const random = sim.random("machines");
  const replicas = story?.replicas ?? random.pick(REPLICAS);
  sim.exclusive = replicas === 1;
  for (let i = 0; i < replicas; i++) sim.addReplica();
  const up = await sim.pass(START_MS, () => sim.user.token !== "" && sim.endpoints().length > 0);
  if (!up) sim.fail("start: no replica came up");
  void sim.user.ask("makes a join token", (client) => client.createJoinToken())
    .then((made) => sim.user.joinToken = made?.token ?? "");
  if (!await sim.pass(START_MS, () => sim.user.joinToken !== "")) sim.fail("start: no join token");
  sim.push(TAGGED, 0);
  const nodes = story?.nodes ?? Array.from({ length: FIRST_NODES }, () => machineOf(random));
  for (const node of nodes) sim.addNode(node);
  await sim.pass(sim.random("driver").between(500, 4000));
}

/** What the story did not come to; undefined when all went as told. */
async function tell(sim: Sim, story: Story): Promise<string | undefined> {
  try {
    await story.run(sim);
    return undefined;
  } catch (error) {
    if (!(error instanceof Detour)) throw error;
    return error.message;
  }
}

/** Moves and faults, one after another but overlapping. */
async function badTime(sim: Sim, options: RunOptions, done: number[]): Promise<undefined> {
  const kinds = options.faults ?? kindsOf(sim.seed);
  trouble(sim, kinds);
  const last = options.steps ? Math.max(0, ...options.steps) : Infinity;
  for (const step of scriptOf(sim.seed, kinds)) {
    if (step.number > last) break;
    if (options.steps?.has(step.number) ?? true) {
      done.push(step.number);
      perform(sim, step);
    }
    await sim.pass(step.pauseMs);
  }
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
