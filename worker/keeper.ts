/**
 * Keeps the leases of an agent's tasks (lease.ts): notes the contact with the control plane, says which
 * task has run out of it, and has the guard watch over the strict ones.
 *
 * @module
 */
import type { Assignment, PollResponse } from "../kv/schema/agent.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Book } from "./book.ts";
import type { Guard } from "./guard_client.ts";
import {
  type Contact,
  holdFor,
  leaseEndMs,
  type Standing,
  standingOf,
  STRICT_POLLS_PER_TTL,
  strictLease,
} from "./lease.ts";
import { containerName, type Outcome } from "./runtime.ts";

export interface Keeper {
  /** Before anything else: whether an earlier guard is still there. */
  begin(): Promise<void>;
  /** A poll is about to be sent, on behalf of these tasks. */
  polling(assignments: Iterable<Assignment>): Promise<PollTicket>;
  /** The poll was answered. True: what waited for a contact may go on. */
  answered(ticket: PollTicket, answer: Pick<PollResponse, "ttlMs" | "unheardMs">): Promise<boolean>;
  standing(assignment: Assignment): Standing;
  /** Resolves when the task may be started as far as its lease goes. */
  cover(assignment: Assignment): Promise<Outcome>;
  /** When the first lease ends. */
  nextDueMs(): number | undefined;
  /** The tasks that are to stop for it. */
  due(): string[];
  /** The agent ends. */
  leave(): void;
}

export interface PollTicket {
  sentMs: number;
  mark?: number;
  /** How long the server may hold the poll at the most. */
  holdMs: number;
}

/** A lease that ended is looked at again after this, should the engine not have stopped the task. */
const AGAIN_MS = 500;

export function createKeeper(
  { book, clock, guard }: { book: Book; clock: Clock; guard: Guard },
): Keeper {
  const contact: Contact = { ttlMs: Infinity, bornMs: clock.monoMs(), guarded: false };
  let guarding = false;
  let confirmed = false;
  /** The last answer said that the leader may not know of its poll. */
  let unheard = false;

  /** It may have a container that runs. A strict one must not outlive its lease on its way out either. */
  function isLeased({ taskId, desired, strict = false }: Assignment): boolean {
    const state = book.records.get(taskId)?.observed.state;
    return (desired === "run" || strict) && !(state && isTerminal(state));
  }

  const leased = () => [...book.set?.assignments.values() ?? []].filter(isLeased);

  const namesOf = (assignments: Iterable<Assignment>) =>
    [...assignments].filter((a) => a.strict && isLeased(a)).map(containerName);

  const standing = (assignment: Assignment) => standingOf(assignment, contact, clock.monoMs());

  return {
    async begin() {
      contact.bornMs = clock.monoMs();
      contact.guarded = !leased().some((a) => a.strict) || await guard.earlier();
    },
    async polling(assignments) {
      const all = [...assignments];
      const names = namesOf(all);
      const limitMs = holdFor(all.filter(isLeased));
      if (names.length === 0) {
        if (guarding) guard.close();
        guarding = confirmed = false;
        return { sentMs: clock.monoMs(), holdMs: limitMs };
      }
      guarding = true;
      const mark = await guard.mark(names);
      return {
        sentMs: clock.monoMs(),
        ...(mark === undefined ? {} : { mark }),
        // The first confirmation is waited for, unless there is none to be had at once.
        holdMs: confirmed || unheard || mark === undefined
          ? Math.min(limitMs, contact.ttlMs / STRICT_POLLS_PER_TTL)
          : 0,
      };
    },
    async answered({ sentMs, mark }, { ttlMs, unheardMs = 0 }) {
      contact.heardMs = clock.monoMs();
      contact.ttlMs = ttlMs;
      unheard = unheardMs > 0;
      const knownMs = sentMs - unheardMs;
      const waited = contact.sentMs === undefined || mark !== undefined && !confirmed;
      if (unheardMs >= ttlMs || knownMs <= (contact.sentMs ?? -Infinity)) return false;
      contact.sentMs = knownMs;
      if (mark !== undefined) {
        confirmed = await guard.confirm(mark, strictLease(ttlMs, 0).killMs - unheardMs);
      }
      return waited;
    },
    standing,
    async cover(assignment) {
      const covered = await guard.cover(namesOf(leased()));
      if (!covered.ok || standing(assignment).kind === "free") return covered;
      return { ok: false, kind: "unavailable", message: "cut off from the control plane" };
    },
    nextDueMs() {
      let firstMs: number | undefined;
      for (const assignment of leased()) {
        const endMs = leaseEndMs(assignment, contact);
        if (endMs === undefined) continue;
        const atMs = standing(assignment).kind === "over" ? clock.monoMs() + AGAIN_MS : endMs;
        firstMs = Math.min(firstMs ?? Infinity, atMs);
      }
      return firstMs;
    },
    due: () => leased().filter((a) => standing(a).kind === "over").map((a) => a.taskId),
    leave: () => guard.leave(),
  };
}
