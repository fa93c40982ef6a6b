/**
 * The agent's loops: each waits for its own bell or timer and calls one step of the agent. None waits
 * for another, and all end with the signal.
 *
 * @module
 */
import type { AgentDeps, AgentEnd, AgentParts } from "./agent.ts";
import type { Exchanged } from "./exchange.ts";
import { createBackOff, createWake } from "./wake.ts";

/** The longest time between two looks at all containers. */
const LIST_EVERY_MS = 15_000;
/** Between two polls without news: a server that does not hold polls must not be flooded. */
const SPACING_MS = { held: 100, notHeld: 1_000 } as const;
/** Short enough that a server that is back sees the node well within its TTL. */
const RETRY = { firstMs: 100, maxMs: 2_000 } as const;
const ENGINE_RETRY = { firstMs: 250, maxMs: 5_000 } as const;

/** Makes the agent's `run`. */
export function createLoops(
  deps: AgentDeps,
  parts: AgentParts,
): (s: AbortSignal) => Promise<AgentEnd> {
  const { clock, random, log, runtime } = deps;
  const { book, keeper, driver, monitor, reporter, exchange, tunnels, bells } = parts;

  return async (outer) => {
    const stop = new AbortController();
    const onOuter = () => stop.abort();
    outer.addEventListener("abort", onOuter, { once: true });
    if (outer.aborted) stop.abort();
    const { signal } = stop;
    let end: AgentEnd = { reason: "stopped" };

    const setBell = createWake(clock);
    const dueBell = createWake(clock);
    const leaseBell = createWake(clock);
    const rowsBell = createWake(clock);
    const laterBell = createWake(clock);
    const listBell = createWake(clock);
    const factsBell = createWake(clock);
    bells.set = setBell.ring;
    bells.look = listBell.ring;
    bells.due = dueBell.ring;
    bells.lease = leaseBell.ring;
    bells.rows = rowsBell.ring;
    bells.later = laterBell.ring;
    bells.facts = factsBell.ring;
    bells.task = (taskId) => driver.kick(taskId, signal);

    /** Waits after a failure and says whether to go on. */
    async function recover(
      what: string,
      exchanged: Exchanged,
      backOff: ReturnType<typeof createBackOff>,
    ): Promise<void> {
      if (exchanged.kind === "done") return backOff.reset();
      if (exchanged.kind === "restart") {
        end = { reason: "restart" };
        stop.abort();
        return;
      }
      if (exchanged.kind === "removed") {
        end = { reason: "removed", message: exchanged.message };
        stop.abort();
        return;
      }
      const waitMs = backOff.nextMs();
      log("warn", `${what} failed; trying again`, { reason: exchanged.message });
      await clock.sleep(waitMs, signal);
    }

    async function pollLoop(): Promise<void> {
      const backOff = createBackOff({ ...RETRY, random });
      while (!signal.aborted) {
        const beganMs = clock.monoMs();
        const before = exchange.pace()?.version;
        const exchanged = await exchange.poll(signal);
        await recover("the poll", exchanged, backOff);
        const pace = exchange.pace();
        if (exchanged.kind !== "done" || !pace || pace.version !== before) continue;
        const spacingMs = pace.holdMs > 0
          ? SPACING_MS.held
          : Math.min(SPACING_MS.notHeld, pace.ttlMs / 4);
        const restMs = spacingMs - (clock.monoMs() - beganMs);
        if (restMs > 0) await clock.sleep(restMs, signal);
      }
    }

    async function applyLoop(): Promise<void> {
      while (!signal.aborted) {
        await parts.apply(signal);
        await setBell.wait(signal);
      }
    }

    async function dueLoop(): Promise<void> {
      while (!signal.aborted) {
        driver.kickDue(signal);
        const dueMs = driver.nextDueMs();
        await dueBell.wait(
          signal,
          dueMs === undefined ? undefined : Math.max(1, dueMs - clock.monoMs()),
        );
      }
    }

    async function leaseLoop(): Promise<void> {
      while (!signal.aborted) {
        for (const taskId of keeper.due()) driver.kick(taskId, signal);
        const dueMs = keeper.nextDueMs();
        await leaseBell.wait(
          signal,
          dueMs === undefined ? undefined : Math.max(1, dueMs - clock.monoMs()),
        );
      }
    }

    async function listLoop(): Promise<void> {
      const backOff = createBackOff({ ...ENGINE_RETRY, random });
      while (!signal.aborted) {
        await book.flush();
        if (await parts.list(signal)) {
          backOff.reset();
          await listBell.wait(signal, LIST_EVERY_MS);
        } else {
          await clock.sleep(backOff.nextMs(), signal);
        }
      }
    }

    async function eventLoop(): Promise<void> {
      const backOff = createBackOff({ ...ENGINE_RETRY, random });
      while (!signal.aborted) {
        for await (const { taskId, type } of runtime.events(signal)) {
          backOff.reset();
          const record = book.records.get(taskId);
          // A start is nearly always ours, and its step knows; before a foreign one there is an exit.
          const ours = driver.isBusy(taskId) || record?.observed.state === "running";
          if (record && !(type === "start" && ours)) driver.kick(taskId, signal);
        }
        if (signal.aborted) return;
        driver.engineLost();
        await clock.sleep(backOff.nextMs(), signal);
        listBell.ring();
      }
    }

    async function reportLoop(): Promise<void> {
      const backOff = createBackOff({ ...RETRY, random });
      while (!signal.aborted) {
        const exchanged = await exchange.report(signal);
        await recover("the report", exchanged, backOff);
        if (exchanged.kind === "done") await rowsBell.wait(signal);
      }
    }

    /** What may wait for other news is told without them after a while. */
    async function pressLoop(): Promise<void> {
      while (!signal.aborted) {
        await laterBell.wait(signal);
        await clock.sleep(reporter.holdMs(), signal);
        reporter.press();
        rowsBell.ring();
      }
    }

    async function factsLoop(): Promise<void> {
      const backOff = createBackOff({ firstMs: 1_000, maxMs: 30_000, random });
      while (!signal.aborted) {
        const exchanged = await exchange.facts(signal);
        await recover("sending this machine's facts", exchanged, backOff);
        if (exchanged.kind === "done") await factsBell.wait(signal);
      }
    }

    const probeLoop = () => monitor.run(signal);

    try {
      await book.load();
      await keeper.begin();
      const loops = [
        ...[pollLoop, applyLoop, dueLoop, leaseLoop, listLoop, eventLoop, reportLoop, pressLoop],
        ...[factsLoop, probeLoop],
      ];
      const ended = await Promise.allSettled(loops.map((loop) =>
        loop().catch((error) => {
          stop.abort(); // A loop that throws is a bug: better to end and be started again.
          throw error;
        })
      ));
      for (const one of ended) if (one.status === "rejected") throw one.reason;
    } finally {
      outer.removeEventListener("abort", onOuter);
      await Promise.all([driver.settle(), tunnels.settle()]); // invariants 6 and 7 of agent.ts
      keeper.leave();
    }
    return end;
  };
}
