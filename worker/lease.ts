/**
 * How long a task may run on without the control plane, the node's half (the leader's: strict.ts of the
 * scheduler). A strict task must be dead when the node's TTL ends; another may have a limit of its own.
 *
 * 1. A strict lease counts from when the last poll was sent that was answered and that, as the answer
 *    says, the leader can know of: the leader counts from when it came in, which is later. Another limit counts from the answer: nobody relies on it, and a
 *    poll that is held is no silence.
 * 2. Without an answer in this life of the agent a strict task is neither started nor, while an earlier
 *    guard looks after it, stopped.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";

/** What a kill may take, from the decision to the container's end, at the most. */
const KILL_MS = 1_500;
/** Of a TTL: the time for a kill, and the longest grace that still fits in front of it. */
const PART = 4;
/** Polls of a node that holds strict tasks, per TTL: each answer confirms only its own sending. */
export const STRICT_POLLS_PER_TTL = 6;
/** Answers that a node expects within the shortest `stopAfterMs` of its tasks. */
const POLLS_PER_LIMIT = 3;

/** How long a poll may be held, so that the answers come well within the limits of these tasks. */
export function holdFor(assignments: Iterable<Pick<Leased, "stopAfterMs">>): number {
  let holdMs = Infinity;
  for (const { stopAfterMs = Infinity } of assignments) {
    holdMs = Math.min(holdMs, stopAfterMs / POLLS_PER_LIMIT);
  }
  return holdMs;
}

export interface StrictLease {
  /** After the last contact: when to begin to stop, with what grace. */
  stopMs: number;
  graceMs: number;
  /** When to kill whatever is left. */
  killMs: number;
}

/** The lease of a strict task. A grace that would not fit is none at all. */
export function strictLease(ttlMs: number, stopGraceMs: number): StrictLease {
  const killMs = ttlMs - Math.min(KILL_MS, ttlMs / PART);
  const graceMs = stopGraceMs <= ttlMs / PART ? stopGraceMs : 0;
  return { stopMs: killMs - graceMs, graceMs, killMs };
}

/** What the agent knows of its contact with the control plane. */
export interface Contact {
  /** When the last poll was sent that the leader can know of; absent before the first answer. */
  sentMs?: number;
  /** When its answer came. */
  heardMs?: number;
  ttlMs: number;
  /** When this life of the agent began. */
  bornMs: number;
  /** A guard of an earlier life looks after the strict tasks, or that life had none. */
  guarded: boolean;
}

export type Standing =
  | { kind: "free" }
  /** Leave it as it is until there is contact. */
  | { kind: "hold" }
  /** Stop it, now. */
  | { kind: "over"; message: string; graceMs?: number };

type Leased = Pick<Assignment, "strict" | "stopAfterMs" | "template">;

/** How a task that shall run stands now. */
export function standingOf(assignment: Leased, contact: Contact, nowMs: number): Standing {
  if (assignment.strict) {
    if (contact.sentMs === undefined) { // Rule 2
      return contact.guarded ? { kind: "hold" } : {
        kind: "over",
        message:
          "stopped by its node: the agent died, and nobody looked after this strict singleton",
        graceMs: 0,
      };
    }
    const { stopMs, graceMs } = strictLease(contact.ttlMs, assignment.template.stopGraceMs);
    if (nowMs - contact.sentMs >= stopMs) {
      const silence = seconds(nowMs - contact.sentMs);
      const message = `stopped by its node: cut off for ${silence}, and it is a strict singleton`;
      return { kind: "over", message, graceMs };
    }
  }
  if (assignment.stopAfterMs === undefined) return { kind: "free" };
  const silentMs = nowMs - heardAtMs(contact);
  if (silentMs < assignment.stopAfterMs) return { kind: "free" };
  const message = `stopped by its node: cut off for ${seconds(silentMs)}, as stopAfterMs asks`;
  return { kind: "over", message };
}

/** When the standing becomes `over` if nothing is heard; undefined: never. */
export function leaseEndMs(assignment: Leased, contact: Contact): number | undefined {
  const ends: number[] = [];
  if (assignment.strict && contact.sentMs !== undefined) {
    const { stopMs } = strictLease(contact.ttlMs, assignment.template.stopGraceMs);
    ends.push(contact.sentMs + stopMs);
  }
  if (assignment.stopAfterMs !== undefined) {
    ends.push(heardAtMs(contact) + assignment.stopAfterMs);
  }
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function heardAtMs({ heardMs, bornMs }: Contact): number {
  return heardMs ?? bornMs;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
