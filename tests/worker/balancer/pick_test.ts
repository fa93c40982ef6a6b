import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EndpointState } from "../../../kv/schema/endpoint.ts";
import type { BalancePolicy } from "../../../kv/schema/port.ts";
import {
  failed,
  FAILURES_TO_EJECT,
  isEjected,
  type Outlier,
  SOUND,
} from "../../../worker/balancer/outliers.ts";
import { type Candidate, hashOf, pick, type Wish } from "../../../worker/balancer/pick.ts";

interface Named extends Candidate {
  name: string;
}

function candidate(name: string, more: Partial<Candidate> = {}): Named {
  return {
    name,
    ...{ state: "ready", local: false, active: 0, outlier: SOUND, lastTurn: 0 },
    hash: hashOf(name),
    ...more,
  };
}

function wish(more: Partial<Wish<Named>> = {}): Wish<Named> {
  return { policy: "least-connections", preferLocal: false, nowMs: 100, clientHash: 0, ...more };
}

const EJECTED: Outlier = { failures: 3, ejections: 1, untilMs: 200 };

Deno.test("who gets a connection: better tiers first, whatever the policy", () => {
  const cases: [string, Named[], Partial<Wish<Named>>, string | undefined][] = [
    ["nobody", [], {}, undefined],
    ["starting only", [candidate("a", { state: "starting" })], {}, undefined],
    [
      "ready before draining",
      [
        candidate("a", { state: "draining" }),
        candidate("b", { active: 99 }),
      ],
      {},
      "b",
    ],
    [
      "unreachable before draining",
      [
        candidate("a", { state: "draining" }),
        candidate("b", { state: "unreachable" }),
      ],
      {},
      "b",
    ],
    ["draining before nobody", [candidate("a", { state: "draining" })], {}, "a"],
    [
      "sound before ejected",
      [candidate("a", { outlier: EJECTED }), candidate("b", { active: 9 })],
      {},
      "b",
    ],
    ["all ejected", [candidate("a", { outlier: EJECTED, active: 0 })], {}, "a"],
    ["ejection is over", [candidate("a", { outlier: EJECTED }), candidate("b", { active: 9 })], {
      nowMs: 200,
    }, "a"],
    [
      "local is not asked for",
      [candidate("a"), candidate("b", { local: true, active: 1 })],
      {},
      "a",
    ],
    ["local is preferred", [candidate("a"), candidate("b", { local: true, active: 9 })], {
      preferLocal: true,
    }, "b"],
    [
      "local is ejected",
      [candidate("a"), candidate("b", { local: true, outlier: EJECTED })],
      { preferLocal: true },
      "a",
    ],
  ];
  for (const policy of ["least-connections", "round-robin", "client-hash"] as const) {
    for (const [what, candidates, more, expected] of cases) {
      assertEquals(
        pick(candidates, wish({ ...more, policy }))?.name,
        expected,
        `${what}, ${policy}`,
      );
    }
  }
});

const STATES: EndpointState[] = ["ready", "starting", "draining", "unreachable"];
const POLICIES: BalancePolicy[] = ["least-connections", "round-robin", "client-hash"];
const someCandidates = fc.array(
  fc.record({
    state: fc.constantFrom(...STATES),
    local: fc.boolean(),
    active: fc.nat(20),
    lastTurn: fc.nat(50),
    outlier: fc.constantFrom(SOUND, EJECTED),
  }),
  { maxLength: 12 },
).map((all) => all.map((one, i) => candidate(`t${i}`, one)));

Deno.test("somebody is picked whenever somebody may answer, and never one that is starting or was tried", () => {
  fc.assert(fc.property(
    someCandidates,
    fc.constantFrom(...POLICIES),
    fc.nat(),
    fc.array(fc.nat(11)),
    (candidates, policy, clientHash, indices) => {
      const tried = new Set(indices.flatMap((i) => candidates[i] ?? []));
      const picked = pick(candidates, wish({ policy, clientHash, tried }));
      const may = candidates.filter((one) => one.state !== "starting" && !tried.has(one));
      assertEquals(picked === undefined, may.length === 0);
      if (picked) assert(may.includes(picked));
      const ready = may.filter((one) => one.state === "ready");
      if (picked && ready.length > 0) assertEquals(picked.state, "ready");
    },
  ));
});

function serve(candidates: Named[], policy: BalancePolicy, clients: readonly number[]): string[] {
  let turn = 0;
  return clients.map((clientHash) => {
    const picked = pick(candidates, wish({ policy, clientHash }));
    assert(picked);
    picked.active++;
    picked.lastTurn = ++turn;
    return picked.name;
  });
}

function countsOf(names: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => a - b);
}

Deno.test("round-robin and least-connections spread connections that stay evenly", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(60), (size, connections) => {
    for (const policy of ["round-robin", "least-connections"] as const) {
      const candidates = Array.from({ length: size }, (_, i) => candidate(`t${i}`));
      serve(candidates, policy, new Array(connections).fill(0));
      const active = candidates.map((one) => one.active);
      assert(Math.max(...active) - Math.min(...active) <= 1, `${policy}: ${active}`);
    }
  }));
});

Deno.test("connections that end at once go to everybody in turn", () => {
  const candidates = ["a", "b", "c"].map((name) => candidate(name));
  const names: (string | undefined)[] = [];
  for (let turn = 1; turn <= 9; turn++) {
    const picked = pick(candidates, wish());
    if (picked) picked.lastTurn = turn;
    names.push(picked?.name);
  }
  assertEquals(names.join(""), "abcabcabc");
});

Deno.test("by client hash a client keeps its task, also when tasks come and others go", () => {
  const clients = Array.from({ length: 500 }, (_, i) => hashOf(`10.0.0.${i}`));
  const choose = (names: string[]) =>
    clients.map((clientHash) =>
      pick(names.map((name) => candidate(name)), wish({ policy: "client-hash", clientHash }))?.name
    );
  const five = choose(["a", "b", "c", "d", "e"]);
  assertEquals(choose(["e", "c", "a", "b", "d"]), five);
  const four = choose(["a", "b", "c", "d"]);
  four.forEach((name, i) => {
    if (five[i] !== "e") assertEquals(name, five[i]);
  });
  const shares = countsOf(five.map((name) => name ?? ""));
  assert((shares[0] ?? 0) > 60 && (shares.at(-1) ?? 0) < 140, `uneven: ${shares}`);
});

Deno.test("by client hash one client's many connections overflow a task's bound, and no further", () => {
  const candidates = ["a", "b", "c", "d"].map((name) => candidate(name));
  const names = serve(candidates, "client-hash", new Array(400).fill(7));
  assertEquals(new Set(names.slice(0, 16)).size, 1);
  assert(Math.max(...candidates.map((one) => one.active)) <= 151);
});

Deno.test("failures in a row eject for ever longer; one success forgets them; after an ejection one is enough", () => {
  let outlier = SOUND;
  for (let i = 1; i < FAILURES_TO_EJECT; i++) {
    outlier = failed(outlier, 0);
    assert(!isEjected(outlier, 0));
  }
  outlier = failed(outlier, 0);
  const lengths = [outlier.untilMs];
  for (let i = 0; i < 6; i++) {
    const nowMs = outlier.untilMs;
    assert(!isEjected(outlier, nowMs));
    outlier = failed(outlier, nowMs);
    lengths.push(outlier.untilMs - nowMs);
  }
  assertEquals(lengths, [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  assert(isEjected(failed(SOUND, 0, { certain: true }), 500));
});

Deno.test("failures while it is ejected do not make the ejection longer", () => {
  const ejected = failed(SOUND, 0, { certain: true });
  assertEquals(failed(ejected, 500).untilMs, ejected.untilMs);
});
