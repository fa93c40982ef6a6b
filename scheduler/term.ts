/**
 * What a leader knows in one term of office.
 *
 * @module
 */
import type { BeatReader } from "../kv/beats.ts";
import type { Lease } from "../kv/leader.ts";
import { type LogEntry, logHead } from "../kv/log.ts";
import type { QueuedMessage } from "../kv/queue.ts";
import type { Event } from "../kv/schema/event.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Kv } from "../kv/store.ts";
import { type Alarms, createAlarms } from "./alarms.ts";
import { loadWorld } from "./load.ts";
import type { World } from "./world.ts";

export type Log = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

export interface TickDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
  log: Log;
  replicaId: string;
  exclusive: boolean;
  /** Where to hear of the nodes' beats; absent: in the database, from all replicas. */
  beats?: BeatReader;
  /** Silence after which a node is down, before it is stretched for many nodes. */
  nodeTtlMs: number;
  leaderTtlMs: number;
  historyLimit: number;
  /** Records of the log to keep. */
  logLimit: number;
  /** Called between stretches of work: lets those have the thread who wait for it. */
  breathe?: () => Promise<void>;
  /** Given each record right after its commit, once the world has its effects. */
  onLogged?: (entry: LogEntry) => void;
}

/** What a leader knows beside the world. Made anew with each term. */
export interface Term {
  lease: Lease;
  world: World;
  seq: number;
  dirtyServices: Set<string>;
  dirtyNodes: Set<string>;
  /** Events that nodes' reports caused, to be logged with the next commit. */
  events: Event[];
  /**
   * Tasks of which something was observed when the world was loaded, until the messages of that time are
   * read: whoever led before may not have logged what a message of theirs is about.
   */
  unheard: Set<string>;
  /** Read but not consumed yet, by message id. */
  inFlight: Map<string, QueuedMessage>;
  /** Messages that failed, and when to try them again. */
  retryAtMs: Map<string, number>;
  /** What the planner throws on, by id, until the messages behind it are counted. */
  broken: Map<string, string>;
  /** When services and nodes want to be looked at again, by id. */
  wakes: { services: Alarms; nodes: Alarms };
  beatsAtMs: number;
  /** When the leader last did not look at beats, in monotonic ms; at first, until its term began. */
  away: { fromMs: number; toMs: number };
  /** Grace periods that a node got since it was last heard, for the leader's own absence. */
  graces: Map<string, number>;
  sweepAtMs: number;
  /** The next sweep that also scans for rows that no task owns. */
  deepSweepAtMs: number;
  /**
   * All tasks are in the world. If not, what it has of a node is no list of what the node is to run, and a row is
   * not of no use because nobody here knows what it belongs to.
   */
  whole: boolean;
  /** Rows that no task owned when the world was loaded; the next sweep deletes them. */
  orphans: Deno.KvKey[];
}

export const DEEP_SWEEP_MS = 3600_000;

/** What the steps of a tick share. */
export interface Context {
  deps: TickDeps;
  term: Term;
  nodeTtlMs: number;
}

/** Rows without which tasks are missing in the world. */
const OF_TASKS = /^(service|task|observed)\//;

/** Loads the world and marks all of it for planning: a full resync. */
export async function beginTerm(deps: TickDeps, lease: Lease): Promise<Term> {
  const nowMs = deps.clock.monoMs();
  const orphans: Deno.KvKey[] = [];
  let whole = true;
  // Before the world: should another leader write meanwhile, this one must not pass for knowing of it.
  const seq = await logHead(deps.kv);
  const world = await loadWorld(
    deps.kv,
    nowMs,
    (row, problem) => {
      deps.log("error", "row left out", { row, problem });
      if (OF_TASKS.test(row)) whole = false;
    },
    (row) => orphans.push(row),
  );
  deps.log("info", "leader", {
    epoch: lease.epoch,
    services: world.services.size,
    nodes: world.nodes.size,
    tasks: world.tasks.size,
  });
  return {
    lease,
    world,
    seq,
    dirtyServices: new Set([...world.services.keys()].sort()),
    dirtyNodes: new Set(world.nodes.keys()),
    events: [{ type: "leader.elected", why: `epoch ${lease.epoch}` }],
    unheard: new Set(observedTasks(world)),
    inFlight: new Map(),
    retryAtMs: new Map(),
    broken: new Map(),
    wakes: { services: createAlarms(), nodes: createAlarms() },
    beatsAtMs: nowMs,
    away: { fromMs: nowMs, toMs: nowMs },
    graces: new Map(),
    sweepAtMs: nowMs,
    deepSweepAtMs: nowMs + DEEP_SWEEP_MS,
    whole,
    orphans: whole ? orphans : [],
  };
}

function* observedTasks({ tasks }: World): Generator<string> {
  for (const [id, { observed }] of tasks) if (observed) yield id;
}
