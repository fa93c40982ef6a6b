/**
 * A worker is frozen (SIGSTOP) with all tasks of a service on it: how soon they are placed elsewhere, how
 * fast they come up there beside a bare engine that starts as many, how soon the old ones are gone after
 * the thaw. The first round warms all up, and its pace does not count. Then the same with a strict singleton beside them, whether it ever had two live containers,
 * by an observer on the engine's own event stream; its start would be one more in the measured seconds.
 *
 * @module
 */
import type { Runtime } from "../../worker/runtime.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import { type Observer, watchContainers } from "../support/observer.ts";
import type { ChildProcess, ServerProcess } from "../support/processes.ts";
import {
  type Bed,
  concurrently,
  newestEvent,
  onBed,
  pause,
  removeBare,
  removeService,
  SLEEPER,
  stampOf,
  startBare,
} from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const nodeLoss: Bench = {
  name: "node-loss",
  summary: "freeze a worker with 20 tasks, thaw it again",
  goals: "placedAfterTtlMs ≤ 700, paceRatio ≥ 0.95, goneAfterThawMs ≤ 1000, strictDoubles 0",
  run,
};

const NAMES = ["victim", "other-1", "other-2"];
const REMAINING = NAMES.length - 1;
const CALL_MS = 60_000;
const PATIENCE = { timeoutMs: 60_000 };

interface Round {
  placedMs: number;
  comeUpMs: number;
  bareMs: number;
  bareKillMs: number;
  goneMs: number;
}

async function run(options: BenchOptions): Promise<BenchResult> {
  const tasks = intFlag(options, "tasks", 20);
  const rounds = intFlag(options, "rounds", 5);
  const ttlMs = intFlag(options, "ttl-ms", 6000);
  const bed = { names: NAMES, args: ["--node-ttl-ms", String(ttlMs)] };
  return await onBed(bed, async ({ workers: [victim], ...rest }) => {
    if (!victim) throw new Error("no worker");
    const all: Round[] = [];
    let strictDoubles = 0;
    for (let n = 0; n <= rounds; n++) {
      const one = await measure({ ...rest, victim, tasks, n });
      options.say(`  ${n === 0 ? "warm-up" : `round ${n}`}: ${JSON.stringify(one)}`);
      all.push(one);
      strictDoubles += await measureStrict({ ...rest, victim, tasks, n });
    }
    const counted = all.slice(1);
    return {
      figures: {
        placedAfterTtlMs: round(Math.max(...all.map((r) => r.placedMs - ttlMs)), 0),
        paceRatio: round(median(counted.map((r) => r.bareMs / r.comeUpMs))),
        comeUpMs: round(median(counted.map((r) => r.comeUpMs)), 0),
        bareMs: round(median(counted.map((r) => r.bareMs)), 0),
        bareKillMs: round(median(counted.map((r) => r.bareKillMs)), 0),
        goneAfterThawMs: round(Math.max(...all.map((r) => r.goneMs)), 0),
        strictDoubles,
      },
      samples: rounds,
    };
  });
}

interface Scene extends Omit<Bed, "workers"> {
  victim: ChildProcess;
  tasks: number;
  n: number;
}

async function measure(
  { server, victim, connection, bare, startsAtOnce, tasks, n }: Scene,
): Promise<Round> {
  const web = `web-${n}`;
  await lay(server, [{ name: web, replicas: tasks }]);
  const observer = await watchContainers(connection, web);
  try {
    const after = await newestEvent(server);
    const frozenMs = Date.now();
    victim.signal("SIGSTOP");
    const placedMs = await stampOf(server, {
      ...{ after, count: tasks },
      tells: ({ service, type, node }) =>
        service === `default/${web}` && type === "task.assigned" && node !== "victim",
    }) - frozenMs;
    // The observer has the times: looking at it more often would take from the machine that is measured.
    await eventually(() => observer.startsMs().length >= tasks, { ...PATIENCE, everyMs: 200 });
    const lastStartMs = performance.timeOrigin + (observer.startsMs()[tasks - 1] ?? NaN);
    const comeUpMs = lastStartMs - (frozenMs + placedMs);
    const pace = await bareStarts(bare, tasks, REMAINING * startsAtOnce);
    const goneMs = await thaw(victim, observer, tasks);
    await rejoined(server);
    return {
      ...{ placedMs: round(placedMs, 0), comeUpMs: round(comeUpMs, 0) },
      ...{ bareMs: round(pace.startMs, 0), bareKillMs: round(pace.killMs, 0) },
      goneMs: round(goneMs, 0),
    };
  } finally {
    victim.signal("SIGCONT");
    await observer.close();
    await removeService(server, web);
  }
}

/** How many containers of a strict singleton lived at once, beyond one. */
async function measureStrict({ server, victim, connection, tasks, n }: Scene): Promise<number> {
  const [web, one] = [`beside-${n}`, `one-${n}`];
  await lay(server, [{ name: web, replicas: tasks }, { name: one, singleton: "strict" }]);
  const observer = await watchContainers(connection, web);
  const strict = await watchContainers(connection, one);
  try {
    victim.signal("SIGSTOP");
    await eventually(() => observer.startsMs().length >= tasks, PATIENCE);
    await eventually(async () => {
      const [moved] = await liveTasks(server, one);
      return moved?.state === "running" && moved.node !== "victim";
    }, PATIENCE);
    await thaw(victim, observer, tasks);
    await rejoined(server);
    await strict.settle();
    return strict.mostAtOnce() - 1;
  } finally {
    victim.signal("SIGCONT");
    await observer.close();
    await strict.close();
    for (const name of [web, one]) await removeService(server, name);
  }
}

/** Has services run on the node that is to be lost, and lets the other nodes take tasks. */
async function lay(
  server: ServerProcess,
  services: readonly { name: string; replicas?: number; singleton?: "strict" }[],
): Promise<void> {
  await only(server, "victim");
  for (const service of services) await create(server, service);
  for (const { name, replicas = 1 } of services) {
    await eventually(async () => await runningOn(server, name) === replicas, PATIENCE);
  }
  for (const name of NAMES) await setAvailability(server, name, "active");
}

async function rejoined({ client }: ServerProcess): Promise<void> {
  await eventually(async () => {
    const node = await client.getNode("victim");
    return node.ok && node.value.status.state === "ready";
  }, PATIENCE);
}

/** Thaws the worker and waits until no container but those that are wanted is left. */
async function thaw(victim: ChildProcess, observer: Observer, tasks: number): Promise<number> {
  const thawedMs = performance.now();
  victim.signal("SIGCONT");
  const limitMs = thawedMs + PATIENCE.timeoutMs;
  while (observer.running() !== tasks) {
    if (performance.now() > limitMs) throw new Error("old containers are left");
    await pause(5);
  }
  return performance.now() - thawedMs;
}

async function create(
  { client }: ServerProcess,
  { name, replicas = 1, ...more }: { name: string; replicas?: number; singleton?: "strict" },
): Promise<void> {
  const mode = { type: "replicated" as const, replicas };
  const made = await client.createService({ name, mode, template: SLEEPER, ...more });
  if (!made.ok) throw new Error(JSON.stringify(made.error));
}

/** Leaves one node that takes tasks. */
async function only(server: ServerProcess, chosen: string): Promise<void> {
  for (const name of NAMES) {
    await setAvailability(server, name, name === chosen ? "active" : "cordon");
  }
}

async function setAvailability(
  server: ServerProcess,
  name: string,
  availability: "active" | "cordon",
): Promise<void> {
  const put = await server.client.putNodeSpec(name, { labels: {}, availability });
  if (!put.ok) throw new Error(JSON.stringify(put.error));
}

async function liveTasks(server: ServerProcess, service: string) {
  const listed = await server.client.listTasks({ service, limit: 500 });
  if (!listed.ok) throw new Error(JSON.stringify(listed.error));
  return listed.value.items.filter((task) => task.desired === "run" && !task.ended);
}

async function runningOn(server: ServerProcess, service: string): Promise<number> {
  return (await liveTasks(server, service)).filter((task) => task.state === "running").length;
}

/**
 * How long the bare engine takes to create and start as many containers, as many at a time as the
 * remaining agents together do, and to kill them, all at once.
 */
async function bareStarts(
  bare: Runtime,
  count: number,
  width: number,
): Promise<{ startMs: number; killMs: number }> {
  const ids = Array.from({ length: count }, (_, i) => idOf(i + 1));
  const signal = AbortSignal.timeout(CALL_MS);
  const begin = performance.now();
  try {
    await concurrently(ids, width, (id) => startBare(bare, id));
    const startMs = performance.now() - begin;
    const killBegin = performance.now();
    await Promise.all(ids.map((taskId) => bare.stop(taskId, { graceMs: 0, signal })));
    return { startMs, killMs: performance.now() - killBegin };
  } finally {
    await Promise.all(ids.map((id) => removeBare(bare, id)));
  }
}
