import { assert, assertEquals } from "@std/assert";
import { strictWaitMs } from "../../scheduler/strict.ts";
import {
  type Contact,
  holdFor,
  leaseEndMs,
  type Standing,
  standingOf,
  strictLease,
} from "../../worker/lease.ts";
import { assignmentOf } from "../support/fake_server.ts";

const strict = { ...assignmentOf(1, { stopGraceMs: 10_000 }), strict: true };
const gentle = { ...assignmentOf(1, { stopGraceMs: 1000 }), strict: true };
const limited = { ...assignmentOf(1), stopAfterMs: 20_000 };
const contact = (sentMs?: number, guarded = false): Contact => ({
  ...(sentMs === undefined ? {} : { sentMs, heardMs: sentMs }),
  ttlMs: 6000,
  bornMs: 0,
  guarded,
});

const CASES: [
  property: string,
  assignment: Parameters<typeof standingOf>[0],
  contact: Contact,
  nowMs: number,
  kind: Standing["kind"],
  graceMs?: number,
][] = [
  ["a task without a lease is free", assignmentOf(1), contact(0), 1e9, "free"],
  ["a strict task is free while there is contact", strict, contact(1000), 5499, "free"],
  [
    "it is killed so early that the kill ends before the TTL",
    strict,
    contact(1000),
    5500,
    "over",
    0,
  ],
  ["a grace that fits is granted, and taken off", gentle, contact(1000), 4500, "over", 1000],
  [
    "without contact in this life an earlier guard is left to it",
    strict,
    contact(undefined, true),
    9e9,
    "hold",
  ],
  ["without one the task is stopped at once", strict, contact(), 0, "over", 0],
  [
    "stopAfterMs counts from the answer: a poll that was held is no silence",
    limited,
    { ...contact(1000), heardMs: 9000 },
    28_999,
    "free",
  ],
  ["stopAfterMs counts from the last contact", limited, contact(1000), 20_999, "free"],
  ["after it the task is stopped with its usual grace", limited, contact(1000), 21_000, "over"],
  [
    "stopAfterMs counts from the agent's start before the first contact",
    limited,
    contact(),
    20_000,
    "over",
  ],
];

for (const [property, assignment, known, nowMs, kind, graceMs] of CASES) {
  Deno.test(`lease: ${property}`, () => {
    const standing = standingOf(assignment, known, nowMs);
    assertEquals(standing.kind, kind);
    if (standing.kind === "over") assertEquals(standing.graceMs, graceMs);
  });
}

Deno.test("lease: whatever the TTL and grace, the node is done before the leader stops waiting", () => {
  for (const ttlMs of [1000, 2000, 6000, 60_000]) {
    for (const graceMs of [0, 100, 1500, 10_000]) {
      const lease = strictLease(ttlMs, graceMs);
      assert(lease.stopMs >= ttlMs / 4 && lease.stopMs + lease.graceMs <= lease.killMs);
      assert(lease.killMs < ttlMs && ttlMs < strictWaitMs(ttlMs));
    }
  }
});

Deno.test("lease: its end is when the standing changes", () => {
  for (const [assignment, known] of [[strict, contact(1000)], [limited, contact(5)]] as const) {
    const endMs = leaseEndMs(assignment, known) ?? NaN;
    assertEquals(standingOf(assignment, known, endMs - 1).kind, "free");
    assertEquals(standingOf(assignment, known, endMs).kind, "over");
  }
  assertEquals(leaseEndMs(assignmentOf(1), contact(0)), undefined);
});

Deno.test("polls are held so briefly that several answers come within the shortest stopAfterMs", () => {
  const brief = { ...assignmentOf(2), stopAfterMs: 3_000 };
  assertEquals(holdFor([assignmentOf(1), limited, brief]), 1_000);
  assertEquals(holdFor([assignmentOf(1)]), Infinity);
});
