import { assertEquals } from "@std/assert";
import { type KnownTask, serviceEndpoints, turnOf } from "../../kv/endpoints.ts";
import type { Rollout } from "../../kv/schema/rollout.ts";
import { idOf } from "../support/ids.ts";
import { AT, specOf } from "../support/seed.ts";

const SPEC = specOf({
  mode: { type: "replicated", replicas: 2 },
  update: { strategy: "bluegreen" },
});

/** What clients see of ready tasks of these revisions while the service's rollout stands so. */
function seen(rollout: Partial<Rollout>, revisions: readonly number[]): string[] {
  const row = { revision: 2, stable: 1, back: false, promoted: false, at: AT } as const;
  const turn = turnOf(SPEC, { ...row, state: "progressing", ...rollout });
  const tasks = revisions.map((revision, i): KnownTask => ({
    ...{ id: idOf(i + 1), slot: i + 1, revision, nodeId: "n1", state: "ready", bound: [] },
  }));
  const service = { ...SPEC, id: idOf(9), ingressPorts: [], revision: row.revision };
  return serviceEndpoints({
    service: { ...service, ...(turn ? { turn } : {}) },
    portsOf: () => [],
    tasks,
    node: () => ({ address: "10.0.0.1", down: false }),
  }).endpoints.map(({ state }) => state);
}

Deno.test("of the two sets of blue/green the one whose turn it is gets connections", () => {
  const asked = { revision: 1, back: true };
  const failed = { back: true, promoted: true };
  const cases: [string, Partial<Rollout>, number[], string[]][] = [
    ["before its turn the second waits", {}, [1, 1, 2, 2], [
      ...["ready", "ready"],
      ...["starting", "starting"],
    ]],
    ["and serves where nobody else can", {}, [2, 2], ["ready", "ready"]],
    ["promoted, the first gets no more", { promoted: true }, [1, 1, 2, 2], [
      ...["draining", "draining"],
      ...["ready", "ready"],
    ]],
    ["but serves where the second cannot", { promoted: true }, [1, 1], ["ready", "ready"]],
    ["taken back before its turn, the second gets nothing", asked, [1, 1, 2, 2], [
      ...["ready", "ready"],
      ...["draining", "draining"],
    ]],
    ["going back, both serve until the first is whole again", asked, [1, 2, 2], [
      "ready",
      ...["ready", "ready"],
    ]],
    ["the same after a failure", failed, [1, 2, 2], ["ready", "ready", "ready"]],
    ["and when it is whole, the second gets no more", failed, [1, 1, 2], [
      ...["ready", "ready"],
      "draining",
    ]],
    ["over, all serve alike", { state: "done", stable: 2, promoted: true }, [2, 2], [
      "ready",
      "ready",
    ]],
  ];
  for (const [what, rollout, revisions, states] of cases) {
    assertEquals(seen(rollout, revisions), states, what);
  }
});
