import { assertEquals } from "@std/assert";
import { createEngineCalls, startsAtOnce } from "../../worker/engine_calls.ts";
import type { Outcome, Runtime } from "../../worker/runtime.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

Deno.test("as many containers are started at once as keep the processors busy, within bounds", () => {
  const table: [cpus: number, atOnce: number][] = [[0.5, 2], [1, 2], [2, 4], [3, 6], [4, 8], [
    64,
    8,
  ]];
  for (const [cpus, atOnce] of table) assertEquals(startsAtOnce(cpus), atOnce, `${cpus} CPUs`);
});

/** Calls on an engine of one processor whose answers the test gives. */
async function oneCpu() {
  const begun: string[] = [];
  const answers = new Map<string, (outcome: Outcome) => void>();
  const operation = (name: string) =>
    new Promise<Outcome>((resolve) => {
      begun.push(name);
      answers.set(name, resolve);
    });
  const runtime = {
    info: () => Promise.resolve({ ok: true, value: { capacity: { cpus: 1, memoryMiB: 1 } } }),
    create: ({ taskId }: { taskId: string }) => operation(`create ${taskId}`),
    start: (taskId: string) => operation(`start ${taskId}`),
  } as unknown as Runtime;
  const calls = createEngineCalls({ runtime, clock: createFakeClock() });
  const stop = new AbortController();
  await calls.info(stop.signal);
  return {
    begun,
    create: (n: number, signal = stop.signal) => calls.create(assignmentOf(n), signal),
    start: (n: number) => calls.start(idOf(n), stop.signal),
    answer: (name: string) => answers.get(name)?.({ ok: true, value: undefined }),
    stop: () => stop.abort(),
  };
}

Deno.test("what is made is started before more is made", async () => {
  const engine = await oneCpu();
  const first = engine.create(1);
  const others = [engine.create(2), engine.create(3), engine.create(4)];
  assertEquals(engine.begun, [1, 2].map((n) => `create ${idOf(n)}`));
  const started = first.then(() => engine.start(1));
  engine.answer(`create ${idOf(1)}`); // its place is the third's before the start is asked for
  await first;
  engine.answer(`create ${idOf(2)}`);
  await others[0];
  assertEquals(engine.begun.slice(2), [`create ${idOf(3)}`, `start ${idOf(1)}`]);
  engine.answer(`start ${idOf(1)}`);
  assertEquals((await started).ok, true);
  assertEquals(engine.begun.at(-1), `create ${idOf(4)}`);
  engine.stop();
  await Promise.all(others);
});

Deno.test("who gives up waiting for the engine's turn leaves it to the next", async () => {
  const engine = await oneCpu();
  const busy = [engine.create(1), engine.create(2)];
  const leaving = new AbortController();
  const left = engine.create(3, leaving.signal);
  const next = engine.create(4);
  leaving.abort();
  assertEquals(await left, {
    ok: false,
    kind: "unavailable",
    message: "given up while waiting for the engine's turn",
  });
  engine.answer(`create ${idOf(1)}`);
  await busy[0];
  assertEquals(engine.begun.at(-1), `create ${idOf(4)}`);
  engine.stop();
  await Promise.all([busy[1], next]);
});
