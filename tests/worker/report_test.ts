import { assertEquals } from "@std/assert";
import type { Observed } from "../../kv/schema/task.ts";
import { createReporter, MAX_BATCH } from "../../worker/report.ts";
import { idOf } from "../support/ids.ts";

function row(n: number, state: Observed["state"] = "running", attempt = 1): Observed {
  return { taskId: idOf(n), attempt, state, health: "none", ports: [] };
}

function reporter() {
  const rung: string[] = [];
  const bells = { now: () => void rung.push("now"), later: () => void rung.push("later") };
  return Object.assign(createReporter(bells), { rung });
}

const positions = (rows: Observed[]) => rows.map((r) => `${r.attempt} ${r.state}`);

Deno.test("a row is due until it is acknowledged, and then no more", () => {
  const it = reporter();
  it.put(row(1));
  assertEquals(it.batch(), [row(1)]);
  assertEquals(it.batch(), [row(1)]);
  it.acknowledge(it.batch(), []);
  it.put(row(1));
  assertEquals(it.batch(), []);
});

Deno.test("only the newest row of a task is told", () => {
  const it = reporter();
  it.put(row(1, "preparing"));
  it.put(row(1, "starting"));
  it.put(row(1, "running"));
  assertEquals(positions(it.batch()), ["1 running"]);
});

Deno.test("a row that changed while it was under way is still due", () => {
  const it = reporter();
  it.put(row(1, "preparing"));
  it.press();
  const sent = it.batch();
  it.put(row(1, "running"));
  it.acknowledge(sent, []);
  assertEquals(positions(it.batch()), ["1 running"]);
});

Deno.test("batches are bounded and together complete", () => {
  const it = reporter();
  for (let n = 1; n <= 250; n++) it.put(row(n));
  const sizes: number[] = [];
  for (let batch = it.batch(); batch.length > 0; batch = it.batch()) {
    sizes.push(batch.length);
    it.acknowledge(batch, []);
  }
  assertEquals(sizes, [MAX_BATCH, MAX_BATCH, 50]);
});

Deno.test("after a resync everything is due once more, and the bell rings", () => {
  const it = reporter();
  it.put(row(1));
  it.acknowledge(it.batch(), []);
  it.rung.length = 0;
  it.resync([row(1), row(2, "preparing")]);
  assertEquals(it.batch().map((r) => r.taskId), [idOf(1), idOf(2)]);
  assertEquals(it.rung.includes("now"), true);
});

Deno.test("what the server does not know is not told again until a resync", () => {
  const it = reporter();
  it.put(row(1, "preparing"));
  it.press();
  it.acknowledge(it.batch(), [idOf(1)]);
  it.put(row(1, "running"));
  assertEquals(it.batch(), []);
  it.resync([row(1, "running")]);
  assertEquals(positions(it.batch()), ["1 running"]);
});

Deno.test("a task that is gone keeps its last row until it was told", () => {
  const it = reporter();
  it.put(row(1, "stopped"));
  it.release(idOf(1));
  assertEquals(positions(it.batch()), ["1 stopped"]);
  it.acknowledge(it.batch(), []);
  it.resync([]);
  assertEquals(it.batch(), []);
});

Deno.test("one row that the server refuses does not hold up the others", () => {
  const it = reporter();
  for (let n = 1; n <= 5; n++) it.put(row(n));
  const accepted: string[] = [];
  const dropped: string[] = [];
  for (let turn = 0; turn < 50; turn++) {
    const rows = it.batch();
    if (rows.length === 0) break;
    if (rows.some((r) => r.taskId === idOf(3))) {
      const refused = it.refuse(rows);
      if (refused) dropped.push(refused.taskId);
    } else {
      accepted.push(...rows.map((r) => r.taskId));
      it.acknowledge(rows, []);
    }
  }
  assertEquals(dropped, [idOf(3)]);
  assertEquals(accepted, [1, 2, 4, 5].map(idOf));
});

Deno.test("a state on the way waits for company, and goes with the first row that cannot wait", () => {
  const it = reporter();
  it.put(row(1, "preparing"));
  it.put(row(2, "starting"));
  assertEquals([it.batch(), it.rung], [[], ["later", "later"]]);
  it.put(row(3));
  assertEquals(positions(it.batch()), ["1 preparing", "1 starting", "1 running"]);
  assertEquals(it.rung.at(-1), "now");
});

Deno.test("a state on the way that was pressed is due until it is acknowledged, and later ones wait again", () => {
  const it = reporter();
  it.put(row(1, "preparing"));
  it.press();
  assertEquals(it.batch(), it.batch());
  assertEquals(positions(it.batch()), ["1 preparing"]);
  it.acknowledge(it.batch(), []);
  it.put(row(1, "starting"));
  assertEquals(it.batch(), []);
});

Deno.test("that a task runs is told at once, unless many others are about to; what changes then is not", () => {
  const it = reporter();
  for (let n = 1; n <= 3; n++) it.put(row(n, "starting"));
  it.put(row(4));
  assertEquals(it.rung.at(-1), "now");
  it.acknowledge(it.batch(), []);
  for (let n = 5; n <= 9; n++) it.put(row(n, "starting"));
  it.put(row(5));
  assertEquals([it.batch(), it.rung.at(-1)], [[], "later"]);
  it.put({ ...row(4), health: "unhealthy" });
  assertEquals(it.rung.at(-1), "now");
  assertEquals(it.batch().length, 6);
});

Deno.test("what only describes a run that is known waits for company; another attempt does not", () => {
  const it = reporter();
  it.put(row(1));
  it.acknowledge(it.batch(), []);
  const described = { ...row(1), containerId: "c1", startedAt: "2026-01-01T00:00:00.000Z" };
  it.put(described);
  assertEquals([it.batch(), it.rung.at(-1)], [[], "later"]);
  it.put({ ...described, attempt: 2 });
  assertEquals([it.batch().length, it.rung.at(-1)], [1, "now"]);
});

Deno.test("what may wait does so for longer while many tasks are on their way", () => {
  const it = reporter();
  for (let n = 1; n <= 3; n++) it.put(row(n, "starting"));
  const fewMs = it.holdMs();
  it.put(row(4, "preparing"));
  assertEquals([it.holdMs() > fewMs, it.holdMs() <= 500], [true, true]);
  it.put(row(4));
  assertEquals(it.holdMs(), fewMs);
});
