import { assertEquals } from "@std/assert";
import type { Client } from "../../../api/client.ts";
import { watchProject } from "../../../cli/compose/watch.ts";
import { type Clock, systemClock } from "../../../kv/schema/time.ts";

/** Short pauses pass at once; long ones last until they are cut short, unless `patient`. */
function clockThat(patient: boolean): Clock {
  return {
    ...systemClock,
    sleep: (ms, signal) =>
      ms < 50 || patient
        ? systemClock.sleep(1, signal)
        : new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
  };
}

function clientOf(events: (signal: AbortSignal) => AsyncGenerator<unknown>) {
  const asked = { count: 0 };
  const list = () => {
    asked.count++;
    return Promise.resolve({ ok: true, value: { items: [] } });
  };
  const client = {
    listServices: list,
    listTasks: () => Promise.resolve({ ok: true, value: { items: [] } }),
    followEvents: ({ signal }: { signal: AbortSignal }) => events(signal),
  };
  return { client: client as unknown as Client, asked };
}

const never = new AbortController().signal;

Deno.test("an event of the cluster is looked after at once", async () => {
  const { client, asked } = clientOf(async function* (signal) {
    while (!signal.aborted) {
      yield { type: "task.state", state: "running", service: "shop/web" };
      await systemClock.sleep(1, signal);
    }
  });
  const options = { client, project: "shop", timeoutMs: 60_000, signal: never };
  const watch = watchProject({ ...options, clock: clockThat(false) });
  assertEquals(await watch.until(() => asked.count >= 3 || undefined), {
    kind: "done",
    value: true,
  });
  await watch.close();
});

Deno.test("what is on its way, or another project's, is not looked after", async () => {
  let finished = false;
  const { client, asked } = clientOf(async function* (signal) {
    for (
      const [type, state, service] of [
        ["task.state", "starting", "shop/web"],
        ["task.assigned", undefined, "shop/web"],
        ["task.state", "running", "other/web"],
      ]
    ) yield { type, state, service };
    await systemClock.sleep(20, signal);
    finished = true;
    yield { type: "service.finished", service: "shop/job" };
  });
  const options = { client, project: "shop", timeoutMs: 60_000, signal: never };
  const watch = watchProject({ ...options, clock: clockThat(false) });
  // At the beginning, once the events are heard, and for the last of them.
  await watch.until(() => asked.count >= 3 || undefined);
  assertEquals([asked.count, finished], [3, true]);
  await watch.close();
});

Deno.test("one stream of events serves all who wait, one after the other, and ends with the watch", async () => {
  let streams = 0, open = 0;
  const { client, asked } = clientOf(async function* (signal) {
    streams++;
    open++;
    try {
      while (!signal.aborted) {
        yield { type: "task.state", state: "running", service: "shop/web" };
        await systemClock.sleep(1, signal);
      }
    } finally {
      open--;
    }
  });
  const options = { client, project: "shop", timeoutMs: 60_000, signal: never };
  const watch = watchProject({ ...options, clock: clockThat(false) });
  for (const many of [2, 4, 6]) await watch.until(() => asked.count >= many || undefined);
  const left = watch.until(() => undefined);
  await watch.close();
  assertEquals((await left).kind, "aborted");
  assertEquals([streams, open], [1, 0]);
});

Deno.test("without the right to events it looks from time to time", async () => {
  const { client, asked } = clientOf(async function* () {});
  const options = { client, project: "shop", timeoutMs: 60_000, signal: never };
  const watch = watchProject({ ...options, clock: clockThat(true) });
  const both = [3, 5].map((many) => watch.until(() => asked.count >= many ? many : undefined));
  const done = (value: number) => ({ kind: "done" as const, value });
  assertEquals(await Promise.all(both), [done(3), done(5)]);
  assertEquals(await watch.until(() => asked.count), done(6));
  await watch.close();
});

Deno.test("closing does not wait for a server that does not answer", async () => {
  const hangs = (_query: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise((resolve) => {
      const error = { kind: "unreachable", message: "aborted" };
      signal.addEventListener("abort", () => resolve({ ok: false, error }));
    });
  const { client } = clientOf(async function* () {});
  const options = { project: "shop", timeoutMs: 60_000, signal: never };
  const watch = watchProject({
    ...options,
    client: { ...client, listServices: hangs, listTasks: hangs } as unknown as Client,
    clock: clockThat(false),
  });
  const waiting = watch.until(() => true);
  await watch.close();
  assertEquals((await waiting).kind, "aborted");
});
