import { assert, assertEquals, assertLess } from "@std/assert";
import type { TaskTemplate } from "../../../kv/schema/service.ts";
import { createMonitor, type Monitor } from "../../../worker/probes/monitor.ts";
import type { Prober, ProbeResult, ProbeTarget } from "../../../worker/probes/prober.ts";
import { newRecord, type TaskRecord } from "../../../worker/record.ts";
import type { ContainerStatus } from "../../../worker/runtime.ts";
import { createFakeClock, type FakeClock } from "../../support/fake_clock.ts";
import { assignmentOf } from "../../support/fake_server.ts";
import { idOf } from "../../support/ids.ts";

const T1 = "2030-01-01T00:00:01.000Z";
const T2 = "2030-01-01T00:00:02.000Z";
const tcp = { type: "tcp" as const, port: 80 };
const everySecond = { probe: tcp, intervalMs: 1_000, timeoutMs: 500, retries: 2 };

interface Stage {
  clock: FakeClock;
  monitor: Monitor;
  changes: string[];
  /** When each probe of a task began. */
  probedMs(n: number): number[];
}

async function onStage(
  answer: (target: ProbeTarget, signal: AbortSignal, clock: FakeClock) => Promise<ProbeResult>,
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const clock = createFakeClock();
  const begun = new Map<string, number[]>();
  const prober: Prober = {
    probe(target, signal) {
      begun.set(target.taskId, [...begun.get(target.taskId) ?? [], clock.monoMs()]);
      return answer(target, signal, clock);
    },
  };
  const changes: string[] = [];
  const monitor = createMonitor(
    { prober, clock, random: () => 0.5, log: () => {} },
    (taskId) => changes.push(taskId),
  );
  const stop = new AbortController();
  const ended = monitor.run(stop.signal);
  await body({ clock, monitor, changes, probedMs: (n) => begun.get(idOf(n)) ?? [] });
  stop.abort();
  await ended;
  assertEquals(clock.sleepers, 0, "nothing waits after the end");
}

/** A running task as the driver sees it. */
function view(
  n: number,
  template: Parameters<typeof assignmentOf>[1] | { readiness?: TaskTemplate["readiness"] },
  { run = T1, observed = {} }: { run?: string; observed?: Partial<TaskRecord["observed"]> } = {},
) {
  const assignment = assignmentOf(n, template);
  const fresh = newRecord(assignment);
  const record = {
    ...fresh,
    run,
    observed: { ...fresh.observed, state: "running" as const, ...observed },
  };
  const container: ContainerStatus = {
    id: "c1",
    taskId: assignment.taskId,
    state: "running",
    exitCode: 0,
    oomKilled: false,
    error: "",
    health: "none",
    startedAt: run,
    ports: [],
  };
  return { taskId: assignment.taskId, assignment, record, container };
}

const pass = (): Promise<ProbeResult> => Promise.resolve({ kind: "pass" });
const fail = (): Promise<ProbeResult> => Promise.resolve({ kind: "fail", output: "refused" });
/** Settles only when it is given up. */
const hang = (signal: AbortSignal) =>
  new Promise<ProbeResult>((resolve) =>
    signal.addEventListener("abort", () => resolve({ kind: "unknown", reason: "given up" }))
  );

Deno.test("verdicts are debounced, and only a change is told", () => {
  let answer = pass;
  return onStage(() => answer(), async ({ clock, monitor, changes }) => {
    const task = view(1, { health: everySecond });
    assertEquals(monitor.see(task), { health: "starting" });
    await clock.advance(3_500);
    assertEquals(monitor.known(idOf(1)), { health: "healthy" });
    assertEquals(changes.length, 1);
    answer = fail;
    await clock.advance(1_000);
    assertEquals(monitor.known(idOf(1)), { health: "healthy", healthOutput: "refused" });
    await clock.advance(1_000);
    assertEquals(monitor.known(idOf(1)), { health: "unhealthy", healthOutput: "refused" });
    assertEquals(changes.length, 3, "the first failure is told for its words, then the verdict");
    await clock.advance(5_000);
    assertEquals(changes.length, 3);
  });
});

Deno.test("a probe that does not answer has failed at its deadline, and is given up", () => {
  let givenUp = 0;
  return onStage((_target, signal) => {
    signal.addEventListener("abort", () => givenUp++);
    return hang(signal);
  }, async ({ clock, monitor, probedMs }) => {
    monitor.see(view(1, { health: everySecond }));
    await clock.advance(1_600);
    assertEquals(monitor.known(idOf(1))?.healthOutput, "no answer within 0.5 s");
    assertEquals([probedMs(1), givenUp], [[1_000], 1]);
    await clock.advance(1_500);
    assertEquals(monitor.known(idOf(1))?.health, "unhealthy");
  });
});

Deno.test("tasks that hang hold up no others, and a bounded number of probes is under way", () => {
  const hanging = new Set(Array.from({ length: 40 }, (_, i) => idOf(i + 1)));
  let underWay = 0;
  let most = 0;
  return onStage(async ({ taskId }, signal) => {
    most = Math.max(most, ++underWay);
    const result = hanging.has(taskId) ? await hang(signal) : await pass();
    underWay--;
    return result;
  }, async ({ clock, monitor, probedMs }) => {
    const slow = { ...everySecond, timeoutMs: 5_000 };
    for (let n = 1; n <= 40; n++) monitor.see(view(n, { health: slow }));
    await clock.advance(30_000);
    for (let n = 101; n <= 110; n++) monitor.see(view(n, { health: everySecond }));
    const joinedMs = clock.monoMs();
    await clock.advance(20_000);
    for (let n = 101; n <= 110; n++) {
      const times = [joinedMs, ...probedMs(n)];
      const gaps = times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0));
      assertLess(Math.max(...gaps), 1_100, `task ${n}`);
      assertEquals(monitor.known(idOf(n))?.health, "healthy");
    }
    assert(most <= 32, `${most} were under way`);
  });
});

Deno.test("what an engine that is away cannot tell changes no verdict", () =>
  onStage(
    () => Promise.resolve({ kind: "unknown", reason: "no engine" }),
    async ({ clock, monitor, changes }) => {
      monitor.see(view(1, { health: { ...everySecond, retries: 1 } }));
      await clock.advance(10_000);
      assertEquals([monitor.known(idOf(1)), changes], [{ health: "starting" }, []]);
    },
  ));

Deno.test("a new run starts anew, and a probe of the old one tells nothing of it", () => {
  let answer: (signal: AbortSignal) => Promise<ProbeResult> = pass;
  return onStage((_target, signal) => answer(signal), async ({ clock, monitor, changes }) => {
    monitor.see(view(1, { health: { ...everySecond, retries: 1 } }));
    await clock.advance(1_100);
    assertEquals(monitor.known(idOf(1)), { health: "healthy" });
    answer = (signal) => hang(signal).then(fail);
    await clock.advance(1_000);
    answer = pass;
    assertEquals(monitor.see(view(1, { health: everySecond }, { run: T2 })), {
      health: "starting",
    });
    await clock.advance(600);
    assertEquals([monitor.known(idOf(1)), changes.length], [{ health: "starting" }, 1]);
  });
});

Deno.test("a run that was judged before the agent's restart keeps its verdict", () =>
  onStage(fail, async ({ clock, monitor }) => {
    const observed = { health: "healthy" as const, ready: true };
    const task = view(1, {
      health: everySecond,
      readiness: { ...everySecond, startIntervalMs: 500, successes: 1 },
    }, { observed });
    assertEquals(monitor.see(task), { health: "healthy", ready: true });
    await clock.advance(2_500);
    const { health, ready } = monitor.known(idOf(1)) ?? {};
    assertEquals([health, ready], ["unhealthy", false]);
  }));

Deno.test("what does not run, shall stop, or is unhealthy already, is not probed", () =>
  onStage(pass, async ({ clock, monitor, probedMs }) => {
    const template = { health: everySecond };
    const task = view(1, template);
    const others = [
      { ...task, assignment: { ...task.assignment, desired: "stop" as const } },
      { ...task, container: { ...task.container, state: "exited" as const } },
      { ...task, container: { ...task.container, startedAt: T2 } },
      view(1, template, { observed: { health: "unhealthy" } }),
      view(1, template, { observed: { state: "starting" } }),
      view(1, {}),
      view(1, { health: { probe: { type: "engine" } } }),
    ];
    for (const other of others) {
      assert(monitor.see(task));
      assertEquals(monitor.see(other), undefined);
      await clock.advance(2_000);
    }
    assertEquals(probedMs(1), []);
  }));
