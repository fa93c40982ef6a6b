import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { reindex, type SlotIndex } from "../../scheduler/slots.ts";
import type { World } from "../../scheduler/world.ts";
import { dropTask } from "../../scheduler/world_changes.ts";
import { addTask, converge, counter, idOf, report, settle, world } from "../support/world.ts";
import { aWorld, rebuilt } from "../support/random_world.ts";

/** An index in a form that does not depend on the order of insertion. */
function plain(slots: SlotIndex) {
  const { strays, older, lastEndedAtMs: _last, endedTail: _tail, ...rest } = slots;
  const sorted = (set: Iterable<number>) => [...set].sort((a, b) => a - b);
  return {
    ...rest,
    gaps: sorted(slots.gaps),
    crowded: sorted(slots.crowded),
    outdated: sorted(slots.outdated),
    waiting: sorted(slots.waiting),
    strays: [...strays.keys()].sort(),
    older: [...older.keys()].sort(),
  };
}

/** What the nodes' records say of the tasks that hold them. */
function allocations(made: World) {
  return [...made.nodes.values()].map((node) => ({
    id: node.node.id,
    milliCpus: node.usedMilliCpus,
    memoryMiB: node.usedMemoryMiB,
    holding: [...node.holding].sort(),
    perService: [...node.perService].sort(),
  })).sort((a, b) => a.id < b.id ? -1 : 1);
}

function assertIndexed(made: World): void {
  for (const record of made.services.values()) {
    const kept = plain(record.slots);
    reindex(record);
    assertEquals(kept, plain(record.slots), `the index of ${record.service.name}`);
  }
}

Deno.test("the index of slots is what building it anew gives, whatever happens", () => {
  fc.assert(
    fc.property(aWorld, fc.array(fc.tuple(fc.nat(4), fc.nat(19))), (input, steps) => {
      const made = world(input);
      const newId = counter("z");
      assertIndexed(made);
      for (const [what, at] of steps) {
        const record = [...made.tasks.values()].sort((a, b) => a.task.id < b.task.id ? -1 : 1)[at];
        if (what === 0) converge(made, newId, { nowMs: at * 500 });
        else if (what === 1) settle(made);
        else if (what === 2 && record?.task.nodeId) report(made, record.task.id, "failed", at);
        else if (what === 3 && record) dropTask(made, record.task.id);
        else if (made.services.has(idOf("web"))) {
          addTask(made, { id: newId(), service: "web", slot: at + 1, node: "n1" });
        }
        assertIndexed(made);
      }
    }),
    { numRuns: 200, seed: 3 },
  );
});

Deno.test("allocations and indices do not depend on the order in which rows are read", () => {
  fc.assert(
    fc.property(aWorld, fc.infiniteStream(fc.nat()), (input, salt) => {
      const made = world(input);
      const other = rebuilt(input, () => salt.next().value ?? 0);
      assertEquals(allocations(other), allocations(made));
      for (const [id, { slots }] of made.services) {
        const twin = other.services.get(id)?.slots;
        assertEquals(twin && plain(twin), plain(slots));
      }
    }),
    { numRuns: 200, seed: 4 },
  );
});

Deno.test("dropping every task gives every node back whole", () => {
  fc.assert(
    fc.property(aWorld, (input) => {
      const made = world(input);
      for (const id of [...made.tasks.keys()]) dropTask(made, id);
      for (const node of allocations(made)) {
        assertEquals([node.milliCpus, node.memoryMiB, node.holding.length], [0, 0, 0]);
      }
      for (const { slots } of made.services.values()) {
        assertEquals([slots.tail, slots.gaps.size, slots.stopping, slots.starting, slots.failed], [
          0,
          0,
          0,
          0,
          0,
        ]);
      }
    }),
    { numRuns: 100, seed: 5 },
  );
});
