/**
 * The agent of one node: polls its assignments, drives its tasks, reports what it saw.
 *
 * 1. The poll is the heartbeat. It waits for nothing but the network: not for the engine, not for the
 *    disk, not for reports.
 * 2. An answer older than the set in effect is ignored (exchange.ts): it comes late or from a stale replica.
 * 3. Everything is level-triggered. Events, answers and timers only say when to look; a full look every
 *    few seconds finds whatever was missed.
 * 4. Without a server the agent goes on with the last set it knew.
 * 5. A container is removed only for a set that a poll of this life confirmed.
 * 6. The public steps await all that they started, so that whoever drives them may stop in between.
 * 7. An aborted signal ends everything and leaves the containers running.
 *
 * @module
 */
import type { Client } from "../api/client.ts";
import type { Assignment } from "../kv/schema/agent.ts";
import type { Observed } from "../kv/schema/task.ts";
import type { Clock } from "../kv/schema/time.ts";
import { createBook } from "./book.ts";
import { attention } from "./diff.ts";
import { createDriver } from "./driver.ts";
import { createEngineCalls } from "./engine_calls.ts";
import { createExchange, type Exchanged } from "./exchange.ts";
import type { Guard } from "./guard_client.ts";
import { createImages } from "./images.ts";
import { createKeeper } from "./keeper.ts";
import type { Log } from "./log.ts";
import { createMonitor } from "./probes/monitor.ts";
import { createLoops } from "./loops.ts";
import { createReporter } from "./report.ts";
import type { EngineInfo, Runtime } from "./runtime.ts";
import type { NodeFacts } from "../kv/schema/node.ts";
import type { StateStore } from "./state_file.ts";
import { createTaskFiles } from "./task_files.ts";
import { createTunnels } from "./tunnel.ts";

export type AgentClient = Pick<
  Client,
  "poll" | "report" | "putFacts" | "answerTunnel" | "taskFiles" | "pullLogin" | "settleDigest"
>;

export interface AgentConfig {
  nodeId: string;
  /** What to tell the server about this machine, from what the engine says. */
  facts(info: EngineInfo): NodeFacts;
}

export interface AgentDeps {
  runtime: Runtime;
  client: AgentClient;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  state: StateStore;
  log: Log;
  /** Watches over strict tasks. */
  guard: Guard;
  /** Called when something has become of a task. */
  onNews?: () => void;
  config: AgentConfig;
}

export type AgentEnd =
  | { reason: "stopped" }
  | { reason: "restart" }
  | { reason: "removed"; message: string };

export interface Agent {
  /** Reads what an earlier process left. `run` does it by itself. */
  load(): Promise<void>;
  /** One poll. Its set takes effect with the next {@link Agent.reconcileOnce}. */
  pollOnce(signal: AbortSignal): Promise<Exchanged>;
  /** Applies what was polled, looks at all containers, and drives every task until it rests. */
  reconcileOnce(signal: AbortSignal): Promise<void>;
  /** Tells the server everything that it has not acknowledged. */
  reportOnce(signal: AbortSignal): Promise<Exchanged>;
  /** Tells the server what this machine is. */
  factsOnce(signal: AbortSignal): Promise<Exchanged>;
  /** What this machine is has changed: the server is told soon. */
  factsChanged(): void;
  /** Does all that until the signal aborts, the node was removed, or a restart is asked for. */
  run(signal: AbortSignal): Promise<AgentEnd>;
  /** The row of every task, as it would be reported now. */
  rows(): Observed[];
  /** The set in effect. */
  assignments(): Iterable<Assignment>;
  /** When the next task is due, in ms of the monotonic clock. */
  nextDueMs(): number | undefined;
}

/** The parts of an agent, for its loops. */
export type AgentParts = ReturnType<typeof createParts>;

export function createAgent(deps: AgentDeps): Agent {
  const parts = createParts(deps);
  const { book, keeper, driver, exchange, apply, list } = parts;
  return {
    async load() {
      await book.load();
      await keeper.begin();
    },
    pollOnce: exchange.poll,
    async reconcileOnce(signal) {
      await apply(signal);
      driver.kickDue(signal);
      await list(signal);
      await driver.settle(); // invariant 6
    },
    reportOnce: exchange.report,
    factsOnce: exchange.facts,
    factsChanged: () => parts.bells.facts(),
    run: createLoops(deps, parts),
    rows: () => book.rows(),
    assignments: () => book.set?.assignments.values() ?? [],
    nextDueMs: () => driver.nextDueMs(),
  };
}

function createParts(deps: AgentDeps) {
  const { runtime, client, clock, random, state, log, config: { nodeId } } = deps;
  const bells = {
    lease: () => {},
    due: () => {},
    set: () => {},
    rows: () => {},
    later: () => {},
    look: () => {},
    facts: () => {},
    task: (_taskId: string) => {},
  };
  const { onNews = () => {} } = deps;
  const reporter = createReporter({
    now() {
      bells.rows();
      onNews();
    },
    later() {
      bells.later();
      onNews();
    },
  });
  const engine = createEngineCalls({ runtime, clock });
  const book = createBook({ nodeId, state, reporter, clock, log });
  const monitor = createMonitor(
    { prober: runtime.prober, clock, random, log },
    (taskId) => bells.task(taskId),
  );
  const files = createTaskFiles({ client, nodeId });
  const images = createImages({ engine, client, nodeId });
  const keeper = createKeeper({ book, clock, guard: deps.guard });
  const driver = createDriver({
    engine,
    book,
    keeper,
    monitor,
    files,
    images,
    clock,
    random,
    log,
    onDue: () => bells.due(),
  });
  const tunnels = createTunnels({
    runtime,
    clock,
    log,
    connect: (sessionId, url) => client.answerTunnel(nodeId, sessionId, url),
  });

  const exchange = createExchange(deps, { book, keeper, reporter, engine, tunnels, bells });
  /** Tasks that had a container at the last look; absent before the first. */
  let listed: ReadonlySet<string> | undefined;

  async function apply(signal: AbortSignal): Promise<void> {
    await book.flush();
    const next = exchange.incoming();
    if (!next) return;
    const changed = await book.apply(next.version, next.assignments);
    if (!book.confirmed) bells.look(); // What is in no set may go now.
    book.confirmed = true;
    files.keep(next.assignments);
    images.keep(next.assignments);
    bells.lease();
    exchange.applied(next);
    for (const taskId of changed) {
      driver.reconsider(taskId);
      // Straight to work: a task that is new, and had no container when all were looked at, has none.
      const { attempt, state: reached } = book.records.get(taskId)?.observed ?? {};
      const fresh = listed?.has(taskId) === false && attempt === 1 && reached === "preparing";
      // And one that has left the set goes without a look: it may be running elsewhere by now.
      const left = !book.set?.assignments.has(taskId) && reached === "running";
      driver.kick(taskId, signal, fresh ? { known: "none" } : left ? { known: "running" } : {});
    }
  }

  async function list(signal: AbortSignal): Promise<boolean> {
    const answered = await engine.list(signal);
    if (!answered.ok) {
      if (!signal.aborted) {
        log("warn", "cannot list the containers; trying again", { reason: answered.message });
      }
      return false;
    }
    const containers = answered.value;
    listed = new Set(containers.map((c) => c.taskId));
    driver.seen(containers);
    const { set, records, confirmed } = book;
    const probed = monitor.known;
    const { standing } = keeper;
    const world = { records, containers, probed, confirmed, standing, nowMs: clock.monoMs() };
    for (const taskId of attention(set ? { ...world, assignments: set.assignments } : world)) {
      if (!driver.isBusy(taskId)) driver.kick(taskId, signal);
    }
    return true;
  }

  return {
    book,
    keeper,
    driver,
    monitor,
    reporter,
    tunnels,
    bells,
    exchange,
    apply,
    list,
  };
}
