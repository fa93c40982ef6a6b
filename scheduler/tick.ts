/**
 * The leader's turn: everything that is to be done now, and when to be called next.
 *
 * 1. Only the holder of the lease plans; what it plans is committed under the epoch's check.
 * 2. A wake-up is deleted in the last commit of its effect: a crash before that repeats the planning,
 *    which finds what is left to do.
 * 3. The world is what was committed. When that is in doubt (a commit threw, the lease was lost), the
 *    world is dropped and loaded anew.
 * 4. A message or service whose handling throws holds up nothing else: it is counted, and parked.
 * 5. Beats are read before a node is judged, and once a second while some node is not ready.
 *
 * @module
 */
import { type BeatReader, BEATS_PER_TTL, createBeatReader, stretchTtl } from "../kv/beats.ts";
import { key } from "../kv/keys.ts";
import { createElector, type Elector, type Lease } from "../kv/leader.ts";
import type { LiveAssigned } from "../kv/schema/assigned.ts";
import { messageOf } from "../kv/store.ts";
import { BEATS_MS, beatsDueAtMs, markDue, QUEUE_BATCH, readBeats, readMessages } from "./intake.ts";
import { assignedTo } from "./live_assigned.ts";
import { commitRound, planRound } from "./round.ts";
import { sweep } from "./sweep.ts";
import { beginTerm, type Context, DEEP_SWEEP_MS, type Term, type TickDeps } from "./term.ts";
import type { World } from "./world.ts";

export interface Ticker {
  /** Does what is due and answers in how many ms to call again, at the latest. */
  tick(): Promise<number>;
  /** Ticks when something was queued or is due, until the signal aborts; then gives up the lease. */
  run(signal: AbortSignal): Promise<void>;
  /** The leader's world; undefined while another process leads. */
  world(): World | undefined;
  /** What it knows of nodes' tasks; undefined while another process leads. */
  assigned(): LiveAssigned | undefined;
  lease(): Lease | undefined;
  /** The silence that it allows nodes now, stretched; undefined while another process leads. */
  nodeTtlMs(): number | undefined;
}

const SWEEP_MS = 60_000;
const STALE_BEATS_MS = 3600_000;
const RETRY_MS = 1000;
/** Rounds of planning before `tick` returns, so that a caller can stop it. */
const ROUNDS = 50;

export function createTicker(deps: TickDeps): Ticker {
  const beats = deps.beats ?? createBeatReader(deps);
  const nodeTtlMs = () => stretchTtl(deps.nodeTtlMs, term?.world.nodes.size ?? 0);
  const elector: Elector = createElector({ ...deps, ttlMs: deps.leaderTtlMs, nodeTtlMs });
  let term: Term | undefined;
  let running: Promise<number> | undefined;

  function depose(reason: string): void {
    deps.log("warn", "no longer leader", { reason });
    elector.deposed();
    term = undefined;
  }

  async function once(): Promise<number> {
    try {
      const campaign = await elector.campaign();
      if (!campaign.leads) {
        if (term) depose("another process took the lease");
        return campaign.retryMs;
      }
      if (!term) {
        term = await beginTerm(deps, campaign.lease);
        await beats.read();
      }
      return await lead(term);
    } catch (error) {
      // Invariant 3: what the failed commit did is unknown.
      deps.log("error", "tick failed", { error: messageOf(error) });
      term = undefined;
      return RETRY_MS;
    }
  }

  /** Requests may call it side by side: there is one tick at a time, and they share its answer. */
  function tick(): Promise<number> {
    running ??= once().finally(() => running = undefined);
    return running;
  }

  async function lead(held: Term): Promise<number> {
    const context = { deps, term: held, nodeTtlMs: nodeTtlMs() };
    await readBeats(context, beats);
    for (let round = 0; round < ROUNDS; round++) {
      markDue(held, deps.clock.monoMs());
      const read = await readMessages(context);
      const planned = planRound(context);
      const done = await commitRound(context, planned);
      if (!done) {
        depose("the epoch changed");
        return RETRY_MS;
      }
      if (!planned.more && read < QUEUE_BATCH) break;
    }
    await sweepIfDue(context, beats);
    return nextMs(held, deps);
  }

  return {
    tick,
    world: () => term?.world,
    assigned() {
      if (!term?.whole) return undefined;
      const { seq, world } = term;
      return { seq, of: (nodeId) => assignedTo(world, nodeId) };
    },
    lease: () => elector.current(),
    nodeTtlMs: () => term && nodeTtlMs(),
    async run(signal) {
      const wake = createWake();
      const watching = watchQueue(deps, signal, wake.ring);
      while (!signal.aborted) {
        wake.reset();
        const ms = await tick();
        if (signal.aborted) break;
        const nap = new AbortController();
        const stop = () => nap.abort();
        signal.addEventListener("abort", stop, { once: true });
        await Promise.race([deps.clock.sleep(ms, nap.signal), wake.rung()]);
        signal.removeEventListener("abort", stop);
        nap.abort();
      }
      await watching;
      await elector.resign().catch((error) =>
        deps.log("warn", "could not give up the lease", { error: messageOf(error) })
      );
    },
  };
}

async function sweepIfDue(context: Context, beats: BeatReader): Promise<void> {
  const { deps, term } = context;
  const nowMs = deps.clock.monoMs();
  if (nowMs < term.sweepAtMs) return;
  const more = await sweep(deps, term.world, {
    guard: term.lease.guard,
    logThroughSeq: term.seq - deps.logLimit,
    staleRows: [...beats.stale(STALE_BEATS_MS), ...term.orphans],
    deep: term.whole && nowMs >= term.deepSweepAtMs,
  });
  term.orphans = [];
  if (nowMs >= term.deepSweepAtMs) term.deepSweepAtMs = nowMs + DEEP_SWEEP_MS;
  term.sweepAtMs = nowMs + (more ? BEATS_MS : SWEEP_MS);
}

function nextMs(term: Term, deps: TickDeps): number {
  const nowMs = deps.clock.monoMs();
  let atMs = Math.min(beatsDueAtMs(term), nowMs + deps.leaderTtlMs / BEATS_PER_TTL);
  atMs = Math.min(atMs, term.wakes.services.earliestMs(), term.wakes.nodes.earliestMs());
  for (const retryAtMs of term.retryAtMs.values()) atMs = Math.min(atMs, retryAtMs);
  if (term.dirtyServices.size > 0 || term.dirtyNodes.size > 0) return 0;
  return Math.max(1, atMs - nowMs);
}

/** Rings on every queued message, of this process or another. */
async function watchQueue(deps: TickDeps, signal: AbortSignal, ring: () => void): Promise<void> {
  while (!signal.aborted) {
    const reader = deps.kv.watch([key.queueHead()]).getReader();
    const stop = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!(await reader.read()).done) ring();
    } catch (error) {
      if (!signal.aborted) deps.log("warn", "queue watch broke", { error: messageOf(error) });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    await deps.clock.sleep(RETRY_MS, signal);
  }
}

/** A bell that stays rung until it is reset. */
function createWake() {
  let ring = () => {};
  let rung = new Promise<void>((resolve) => ring = resolve);
  return {
    ring: () => ring(),
    rung: () => rung,
    reset() {
      rung = new Promise<void>((resolve) => ring = resolve);
    },
  };
}
