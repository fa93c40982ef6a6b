import { assertEquals } from "@std/assert";
import type { EventView } from "../../kv/schema/event.ts";
import { audit, type Evidence, type Finding, type Sighting } from "./kills/audit.ts";

const sighting = (action: Sighting["action"], more: Partial<Sighting> = {}): Sighting => ({
  ...{ atMs: 0, action, containerId: "c1", taskId: "t1", service: "web", slot: 1 },
  ...more,
});
const event = (type: EventView["type"], more: Partial<EventView> = {}): EventView => ({
  ...{ type, id: "1.0", at: "2026-01-01T00:00:00.000Z", taskId: "t1" },
  ...more,
});

/** One service of one task that runs, and a job that is done. */
const SOUND: Evidence = {
  sightings: [
    sighting("create"),
    sighting("start"),
    sighting("create", { service: "job", containerId: "c2", taskId: "t2" }),
    sighting("start", { service: "job", containerId: "c2", taskId: "t2" }),
    sighting("die", { service: "job", containerId: "c2", taskId: "t2", exitCode: 0 }),
  ],
  events: [
    event("task.assigned"),
    event("task.state", { state: "running", attempt: 1 }),
    event("task.assigned", { taskId: "t2" }),
    event("task.state", { taskId: "t2", state: "succeeded", attempt: 1 }),
  ],
  wanted: [
    { name: "web", kind: "steady", count: 1, version: 1 },
    { name: "job", kind: "job", count: 1, version: 1 },
  ],
  shown: [
    { name: "web", version: 1, phase: "running", running: 1 },
    { name: "job", version: 1, phase: "finished", running: 0 },
  ],
  tasks: [
    { id: "t1", service: "web", slot: 1, state: "running", desired: "run" },
    { id: "t2", service: "job", slot: 1, state: "succeeded", desired: "run" },
  ],
  present: [
    { containerId: "c1", taskId: "t1", service: "web", slot: 1, running: true },
    { containerId: "c2", taskId: "t2", service: "job", slot: 1, running: false },
  ],
  kinds: new Map([["web", "steady"], ["job", "job"]]),
};

Deno.test("sound evidence has no findings", () => {
  assertEquals(audit(SOUND), []);
});

Deno.test("a run that was stopped on purpose is no loss, and its slot may be filled again", () => {
  const later = { containerId: "c3", taskId: "t3" };
  assertEquals(
    audit({
      ...SOUND,
      sightings: [
        ...SOUND.sightings,
        sighting("die", { exitCode: 137 }),
        sighting("create", later),
        sighting("start", later),
      ],
      events: [
        ...SOUND.events,
        event("task.stopping"),
        event("task.state", { state: "stopped", attempt: 1 }),
        event("task.assigned", { taskId: "t3" }),
        event("task.state", { taskId: "t3", state: "running", attempt: 1 }),
      ],
      tasks: [...SOUND.tasks, { ...SOUND.tasks[0]!, id: "t3" }],
      present: [{ ...SOUND.present[0]!, ...later }],
    }),
    [],
  );
});

const PLANTS: [string, Finding["kind"], Partial<Evidence>][] = [
  ["an acknowledged service that is not there", "lost", { shown: SOUND.shown.slice(1) }],
  ["a service at an older version", "lost", {
    shown: [{ ...SOUND.shown[0]!, version: 0 }, SOUND.shown[1]!],
  }],
  ["a deleted service that is still there", "lost", { wanted: SOUND.wanted.slice(1) }],
  ["a job that never finishes", "lost", {
    shown: [SOUND.shown[0]!, { ...SOUND.shown[1]!, phase: "converging" }],
  }],
  ["a slot without a container", "lost", { present: SOUND.present.slice(1) }],
  ["a task that was given up", "lost", {
    events: [...SOUND.events, event("task.state", { state: "lost" })],
  }],
  ["a task that vanished", "lost", {
    events: [...SOUND.events, event("task.assigned", { taskId: "t9" })],
  }],
  ["a container that died though nobody stopped it", "lost", {
    sightings: [...SOUND.sightings, sighting("die", { exitCode: 0 })],
  }],
  ["two containers in one slot", "doubled", {
    sightings: [...SOUND.sightings, sighting("start", { containerId: "c9", taskId: "t2" })],
  }],
  ["a second container of one task", "doubled", {
    sightings: [...SOUND.sightings, sighting("create", { containerId: "c9" })],
  }],
  ["a second start of one attempt", "doubled", {
    sightings: [...SOUND.sightings, sighting("start")],
  }],
  ["a completion that was done twice", "doubled", {
    sightings: [...SOUND.sightings, SOUND.sightings[4]!],
  }],
  ["a container that is nobody's", "orphan", { tasks: SOUND.tasks.slice(0, 1) }],
];
for (const [name, kind, evidence] of PLANTS) {
  Deno.test(`the audit finds ${name}`, () => {
    const kinds = audit({ ...SOUND, ...evidence }).map((finding) => finding.kind);
    assertEquals(kinds.includes(kind), true, `found ${kinds}`);
  });
}
