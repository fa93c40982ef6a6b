import { assertEquals } from "@std/assert";
import { Node, NodeSpec, type NodeSpecInput } from "../../kv/schema/node.ts";
import { nodeChange } from "../../scheduler/node_change.ts";
import { idOf } from "../support/ids.ts";

const known = (spec: NodeSpecInput, cpus = 4) => ({
  node: Node.parse({
    ...{ id: idOf(1), joinedAt: "2026-01-01T00:00:00.000Z", name: "n1", address: "10.0.0.1" },
    ...{ capacity: { cpus, memoryMiB: 1024 }, os: "linux", arch: "amd64", runtime: "sim" },
    ...{ engine: "sim", agentVersion: "0.1.0" },
  }),
  spec: NodeSpec.parse(spec),
});

const GPU = { key: "gpu", effect: "no-schedule" } as const;

const CASES: [before: NodeSpecInput, after: NodeSpecInput, text: string][] = [
  [{}, { availability: "drain" }, "availability drain"],
  [
    { labels: { disk: "ssd", zone: "a" } },
    { labels: { zone: "b", rack: "" } },
    "labels zone=b, rack, without disk",
  ],
  [{ taints: [] }, { taints: [GPU] }, "taints gpu:no-schedule"],
  [{ taints: [GPU] }, { taints: [] }, "taints without gpu:no-schedule"],
  [{}, { pool: "edge", availability: "cordon" }, "availability cordon; pool edge"],
  [{}, { ttlMs: 9000 }, "TTL"],
  [{}, { drain: { deadlineMs: 5 } }, "deadline of drains"],
  [{}, {}, "looked at again"],
];

for (const [before, after, text] of CASES) {
  Deno.test(`what changed about a node is named: ${text}`, () =>
    assertEquals(nodeChange(known(before), known(after)), text));
}

Deno.test("what an agent says anew is told apart from what users decide, and from joining", () => {
  assertEquals(nodeChange(known({}), known({}, 8)), "what its agent says of the machine");
  assertEquals(nodeChange(undefined, known({})), "joined");
});
