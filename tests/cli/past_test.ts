import { assertEquals } from "@std/assert";
import { ulid } from "ulid";
import { EventView } from "../../kv/schema/event.ts";
import { TaskView } from "../../kv/schema/task.ts";
import { type PastQuestion, tasksAt } from "../../cli/past.ts";
import { taskView } from "./support.ts";

const START = Date.parse("2026-01-31T12:00:00Z");
const at = (seconds: number) => new Date(START + seconds * 1000).toISOString();
const idAt = (seconds: number) => ulid(START + seconds * 1000).toLowerCase();

let seq = 0;
function event(seconds: number, taskId: string, more: Partial<EventView>): EventView {
  const id = `${++seq}.0`;
  return EventView.parse({ id, at: at(seconds), taskId, service: "shop/web", slot: 1, ...more });
}

function ask(seconds: number, more: Partial<PastQuestion>): string[] {
  const question = { events: [], now: [], keptSinceMs: -Infinity, ...more };
  return tasksAt({ ...question, atMs: START + seconds * 1000 }).map((task) =>
    `${task.name}@${task.node ?? "-"} ${task.state}${task.stopping ? "!" : ""}`
  );
}

const life = (id: string) => [
  event(0, id, { type: "task.created" }),
  event(1, id, { type: "task.assigned", node: "n1" }),
  event(2, id, { type: "task.state", state: "running", attempt: 1, node: "n1" }),
  event(3, id, { type: "task.ready", node: "n1" }),
  event(4, id, { type: "task.stopping", node: "n1" }),
  event(5, id, { type: "task.state", state: "stopped", node: "n1" }),
  event(6, id, { type: "task.purged" }),
];

Deno.test("a task is at each time as the events before it say", () => {
  const events = life(idAt(0));
  const seen = [-1, 0, 1, 2, 3.5, 4, 5, 6].map((seconds) => ask(seconds, { events }).join());
  assertEquals(seen, [
    "",
    "shop/web.1@- pending",
    "shop/web.1@n1 assigned",
    "shop/web.1@n1 running",
    "shop/web.1@n1 running",
    "shop/web.1@n1 running!",
    "shop/web.1@n1 stopped!",
    "",
  ]);
});

Deno.test("what changed before the log begins is unknown, not guessed", () => {
  const id = idAt(-100);
  const events = [event(10, id, { type: "task.state", state: "failed", node: "n2" })];
  const keptSinceMs = START;
  assertEquals(ask(5, { events, keptSinceMs }), ["shop/web.1@n2 unknown"]);
  assertEquals(ask(11, { events, keptSinceMs }), ["shop/web.1@n2 failed"]);
  assertEquals(ask(5, { events }), [], "with nothing thrown away it was not there");
});

Deno.test("a task of which the log tells nothing is as it was, if it is as old", () => {
  const task = (id: string) => TaskView.parse(taskView({ id, project: "shop", name: "web.1" }));
  const keptSinceMs = START;
  assertEquals(ask(5, { now: [task(idAt(-100))], keptSinceMs }), [
    "shop/web.1@rack-7-machine-12 running",
  ]);
  assertEquals(ask(5, { now: [task(idAt(50))], keptSinceMs }), [], "made later");
});
