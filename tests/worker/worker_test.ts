import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../kv/schema/time.ts";
import { createNoGuard } from "../../worker/guard_client.ts";
import type { WorkerConfig } from "../../worker/config.ts";
import { createSimEngine, createSimRuntime } from "../../worker/sim.ts";
import { type Ended, EXIT, runWorker } from "../../worker/worker.ts";
import { eventually } from "../support/eventually.ts";
import { assignmentOf, createFakeServer, type FakeServer } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";
import { JOIN_TOKEN, serveWire, type WireServer } from "../support/wire_server.ts";

interface Setup {
  fake: FakeServer;
  wire: WireServer;
  stateDir: string;
  engine: ReturnType<typeof createSimEngine>;
  logs: string[];
  /** A worker process, so to speak; without a token if told so. */
  start(options?: { join?: string | undefined; server?: string }): {
    ended: Promise<Ended>;
    stop(): Promise<Ended>;
  };
}

async function withWorker(body: (setup: Setup) => Promise<void>): Promise<void> {
  const stateDir = await Deno.makeTempDir();
  const fake = createFakeServer(systemClock);
  const wire = serveWire(fake);
  const engine = createSimEngine({
    clock: systemClock,
    random: () => 0.5,
    hostname: "n1",
    capacity: { cpus: 2, memoryMiB: 256 },
    images: ["busybox:1"],
    timings: { callMs: 1, createMs: 1, startMs: 1 },
  });
  const logs: string[] = [];
  let keys = 0;
  const stops: (() => Promise<Ended>)[] = [];
  try {
    await body({
      fake,
      wire,
      stateDir,
      engine,
      logs,
      start(options = {}) {
        const { join = JOIN_TOKEN, server = wire.url } = options;
        const config: WorkerConfig = {
          server,
          ...("join" in options && options.join === undefined ? {} : { joinToken: join }),
          name: "n1",
          address: "127.0.0.1",
          labels: {},
          stateDir,
          runtime: "sim",
          reserve: { cpus: 0 },
          supervised: false,
          logLevel: "info",
        };
        const signal = new AbortController();
        const ended = runWorker({
          config,
          createRuntime: (nodeId) => createSimRuntime({ engine, nodeId }),
          createGuard: createNoGuard,
          clock: systemClock,
          random: () => 0.5,
          newKey: () => `key-${++keys}`,
          log: (_level, message, fields) => logs.push(`${message} ${JSON.stringify(fields)}`),
        }, signal.signal);
        const stop = () => {
          signal.abort();
          return ended;
        };
        stops.push(stop);
        return { ended, stop };
      },
    });
  } finally {
    for (const stop of stops) await stop();
    await wire.close();
    await Deno.remove(stateDir, { recursive: true });
  }
}

const containers = ({ engine }: Setup) =>
  Array.from(engine.containers.values(), (c) => `${c.nodeId} ${c.status.state}`);

Deno.test("a worker that never joined and has no token says what to do", async () => {
  await withWorker(async ({ start }) => {
    const { code, message } = await start({ join: undefined }).ended;
    assertEquals(code, EXIT.usage);
    assertStringIncludes(message ?? "", "--join TOKEN");
  });
});

Deno.test("a refused join ends with the server's reason", async () => {
  await withWorker(async ({ start }) => {
    const { code, message } = await start({ join: "wrong" }).ended;
    assertEquals(code, EXIT.refused);
    assertStringIncludes(message ?? "", "unknown join token");
  });
});

Deno.test("a damaged identity is said, without its secret, and nothing is overwritten", async () => {
  await withWorker(async ({ start, stateDir, wire }) => {
    const text = `{"format":1,"credential":"${wire.credential}`;
    await Deno.writeTextFile(`${stateDir}/identity.json`, text);
    const { code, message } = await start().ended;
    assertEquals(code, EXIT.failed);
    assertStringIncludes(message ?? "", "identity.json is damaged");
    assert(!message?.includes(wire.credential));
    assertEquals(await Deno.readTextFile(`${stateDir}/identity.json`), text);
  });
});

Deno.test("a join whose answer was lost is asked for again under the same key, until answered", async () => {
  await withWorker(async ({ start, wire, stateDir, fake }) => {
    wire.dropJoins = 2;
    const first = start();
    await eventually(() => wire.joinKeys.length >= 1);
    await first.stop();
    start();
    await eventually(() => fake.pollsMs.length > 0);
    assert(wire.joinKeys.length >= 3);
    assertEquals(new Set(wire.joinKeys), new Set(["key-1"]));
    const left = Array.from(Deno.readDirSync(stateDir), (entry) => entry.name);
    assert(!left.includes("join-key"));
  });
});

Deno.test("the credential is kept: a second start does not join again, and needs no token", async () => {
  await withWorker(async ({ start, wire, fake }) => {
    const first = start();
    await eventually(() => fake.pollsMs.length > 0);
    assertEquals(await first.stop(), { code: EXIT.done });
    const polls = fake.pollsMs.length;
    const second = start({ join: undefined });
    await eventually(() => fake.pollsMs.length > polls);
    assertEquals(await second.stop(), { code: EXIT.done });
    assertEquals(wire.joins, 1);
  });
});

/** A worker that ran a task, has ended, and was removed meanwhile; answers the id that its node had. */
async function runThenRemove(
  { start, wire, fake }: Setup,
  assignment: Parameters<Setup["fake"]["assign"]>[0],
): Promise<string> {
  fake.assign(assignment);
  const first = start();
  await eventually(() => fake.stateOf(idOf(1)) === "1 running");
  await first.stop();
  const before = wire.nodeId;
  wire.credential = "new";
  wire.nodeId = idOf(8);
  return before;
}

Deno.test("what was a removed node's own goes later when the engine does not answer at first", async () => {
  await withWorker(async (setup) => {
    const { start, fake, engine } = setup;
    await runThenRemove(setup, assignmentOf(1));
    fake.assign(assignmentOf(2));
    createSimRuntime({ engine }).control.loseAnswer("list");
    start();
    await eventually(() => fake.stateOf(idOf(2)) === "1 running");
    await eventually(() => containers(setup).join() === `${idOf(8)} running`);
  });
});

Deno.test("a worker that joined anew is heard while what was its own goes, and makes nothing until then", async () => {
  await withWorker(async (setup) => {
    const { start, fake, engine } = setup;
    const { control } = createSimRuntime({ engine });
    const command = ["sh", "-c", "trap '' TERM; sleep infinity"];
    const before = await runThenRemove(setup, assignmentOf(1, { command }));
    fake.assign(assignmentOf(2));
    start();
    await eventually(() => control.calls("stop") === 1);
    await eventually(() => fake.stateOf(idOf(2)) === "1 preparing");
    assertEquals([control.calls("create"), ...containers(setup)], [1, `${before} running`]);
    control.kill(idOf(1));
    await eventually(() => containers(setup).join() === `${idOf(8)} running`);
  });
});

Deno.test("a removed node with a token joins anew, and only then clears what was its own", async () => {
  await withWorker(async (setup) => {
    const { start, wire, fake } = setup;
    const before = await runThenRemove(setup, assignmentOf(1));
    wire.refuseJoins = true;
    const refused = await start().ended;
    assertEquals(refused.code, EXIT.refused);
    assertEquals(containers(setup), [`${before} running`]);
    wire.refuseJoins = false;
    fake.assign(assignmentOf(2));
    start();
    await eventually(() => fake.stateOf(idOf(2)) === "1 running");
    assertEquals(containers(setup), [`${idOf(8)} running`]);
  });
});
