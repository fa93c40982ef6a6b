/**
 * What an agent and the server tell each other: polls with their answers, reports, and what the machine is.
 *
 * 1. An answer older than the set in effect is ignored: it comes late or from a stale replica.
 * 2. What was reported while nobody heard is reported again once somebody does.
 *
 * @module
 */
import { describeError } from "../api/client.ts";
import type { Assignment, PollResponse } from "../kv/schema/agent.ts";
import type { AgentDeps } from "./agent.ts";
import type { Book } from "./book.ts";
import type { EngineCalls } from "./engine_calls.ts";
import type { Keeper } from "./keeper.ts";
import type { Reporter } from "./report.ts";
import type { Tunnels } from "./tunnel.ts";

/** How an exchange with the server went; `removed`: it no longer knows this node. */
export type Exchanged =
  | { kind: "done" }
  /** The server asks for a restart and knows that it is about to be made. */
  | { kind: "restart" }
  | { kind: "failed"; message: string }
  | { kind: "removed"; message: string };

/** A set that was polled. */
export interface NewSet {
  version: number;
  assignments: readonly Assignment[];
}

/** Reports in a row that were overtaken before this looks like two agents with one identity. */
const MAX_OVERTAKEN = 5;

interface ExchangeParts {
  book: Book;
  keeper: Keeper;
  reporter: Reporter;
  engine: Pick<EngineCalls, "info">;
  tunnels: Tunnels;
  /** Rung at the moment of the call: they may be hung later. */
  bells: { lease(): void; set(): void; look(): void };
}

export interface Exchange {
  poll(signal: AbortSignal): Promise<Exchanged>;
  report(signal: AbortSignal): Promise<Exchanged>;
  facts(signal: AbortSignal): Promise<Exchanged>;
  /** The newest set that was polled and is not in effect yet. */
  incoming(): NewSet | undefined;
  /** This set is in effect. */
  applied(set: NewSet): void;
  /** What the last answer allowed: how long a poll may be held, and after what silence we are down. */
  pace(): Pick<PollResponse, "version" | "holdMs" | "ttlMs"> | undefined;
}

export function createExchange(
  { client, log, config: { nodeId, facts: factsOf } }: Pick<AgentDeps, "client" | "log" | "config">,
  { book, keeper, reporter, engine, tunnels, bells }: ExchangeParts,
): Exchange {
  /** The newest answer with a set, not in effect yet. */
  let incoming: NewSet | undefined;
  /** What the last poll said: its version, how long to hold the next one. */
  let polled: Pick<PollResponse, "version" | "holdMs" | "ttlMs"> | undefined;
  let disconnected = false;
  /** What the next report follows; see kv/reports.ts. A new life learns it from its first answer. */
  let reportBase = "";
  /** A restart that was asked for; made once the server was told. */
  let restart: string | undefined;

  function exchangeOf(error: Parameters<typeof describeError>[0]): Exchanged {
    disconnected = true;
    const message = describeError(error);
    const removed = error.kind === "problem" && error.problem.status === 401;
    return { kind: removed ? "removed" : "failed", message };
  }

  async function poll(signal: AbortSignal): Promise<Exchanged> {
    const known = Math.max(book.set?.version ?? -1, incoming?.version ?? -1);
    const ticket = await keeper.polling(
      incoming?.assignments ?? book.set?.assignments.values() ?? [],
    );
    const answered = await client.poll(nodeId, {
      ...(known < 0 ? {} : { since: known }),
      ...(polled && known >= 0
        ? { holdMs: Math.floor(Math.min(polled.holdMs, ticket.holdMs)) }
        : {}),
      ...(restart === undefined ? {} : { restarted: restart }),
    }, { signal });
    if (signal.aborted) return { kind: "done" };
    if (!answered.ok) return exchangeOf(answered.error);
    const answer = answered.value;
    if (await keeper.answered(ticket, answer)) bells.look();
    bells.lease();
    if (restart !== undefined && answer.restart !== restart) return { kind: "restart" };
    restart = answer.restart;
    tunnels.answer(answer.tunnels, signal);
    polled = answer;
    if (disconnected) reporter.resync(book.rows());
    disconnected = false;
    if (answer.version < known) { // invariant 1
      log("warn", "ignored an answer that is older than the assignments in effect", {
        version: answer.version,
        inEffect: known,
      });
    } else if (answer.assignments) {
      incoming = { version: answer.version, assignments: answer.assignments };
      bells.set();
    } else if (known >= 0 && !book.confirmed) {
      book.confirmed = incoming === undefined;
      bells.look();
    }
    return { kind: "done" };
  }

  async function report(signal: AbortSignal): Promise<Exchanged> {
    let overtaken = 0;
    while (!signal.aborted) {
      const rows = reporter.batch();
      if (rows.length === 0) break;
      const answered = await client.report(nodeId, { tasks: rows, base: reportBase }, { signal });
      if (answered.ok) {
        reportBase = answered.value.base;
        if (answered.value.stale) {
          if (++overtaken < MAX_OVERTAKEN) continue;
          return { kind: "failed", message: "another agent reports as this node" };
        }
        reporter.acknowledge(rows, answered.value.unknown);
        for (const { taskId, attempt } of answered.value.behind ?? []) {
          await book.raise(taskId, attempt);
        }
        continue;
      }
      const { error } = answered;
      const badRequest = error.kind === "problem" && [400, 413, 422].includes(error.problem.status);
      if (!badRequest) return signal.aborted ? { kind: "done" } : exchangeOf(error);
      const row = reporter.refuse(rows);
      if (row) {
        log("error", "the server refused a task's report; it is dropped", {
          taskId: row.taskId,
          reason: describeError(error),
        });
      }
    }
    return { kind: "done" };
  }

  async function facts(signal: AbortSignal): Promise<Exchanged> {
    const info = await engine.info(signal);
    if (!info.ok) return { kind: "failed", message: info.message };
    const put = await client.putFacts(nodeId, factsOf(info.value), { signal });
    return put.ok || signal.aborted ? { kind: "done" } : exchangeOf(put.error);
  }

  return {
    poll,
    report,
    facts,
    incoming: () => incoming,
    applied(set) {
      if (incoming === set) incoming = undefined;
    },
    pace: () => polled,
  };
}
