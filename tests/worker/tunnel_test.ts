import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { createClient } from "../../api/client.ts";
import { CHANNEL, ExecOptions, LogsOptions, type TunnelOpen } from "../../kv/schema/agent.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createSimEngine, createSimRuntime, type SimRuntime } from "../../worker/sim.ts";
import {
  createTunnels,
  HIGH_WATER_BYTES,
  MAX_SESSIONS,
  type Tunnels,
} from "../../worker/tunnel.ts";
import type { OutputChunk, Runtime } from "../../worker/runtime.ts";
import { eventually } from "../support/eventually.ts";
import { assignmentOf, createFakeServer, type FakeServer } from "../support/fake_server.ts";
import { noInside, noVolumes } from "../support/no_volumes.ts";
import { idOf } from "../support/ids.ts";
import { serveWire, type WireServer } from "../support/wire_server.ts";

const task = idOf(1);
const node = idOf(7);

interface Setup {
  runtime: SimRuntime;
  tunnels: Tunnels;
  fake: FakeServer;
  wire: WireServer;
  /** Opens a tunnel as a client would, and collects what comes. */
  open(open: TunnelOpen): Promise<Session>;
}

interface Session {
  socket: WebSocket;
  text: (channel: number) => string;
  controls: unknown[];
  closed: Promise<void>;
  send(channel: number, text: string): void;
}

/** A task that runs in a simulated engine, tunnels to it, and a server for them; all closed after. */
async function withTunnels(
  body: (setup: Setup) => Promise<void>,
  replace: Partial<Pick<Runtime, "logs" | "exec">> = {},
): Promise<void> {
  const stop = new AbortController();
  const engine = createSimEngine({
    clock: systemClock,
    random: () => 0.5,
    hostname: "n1",
    capacity: { cpus: 1, memoryMiB: 128 },
    images: ["busybox:1"],
    timings: { callMs: 0, createMs: 0, startMs: 0 },
  });
  const runtime = createSimRuntime({ engine, nodeId: node });
  await runtime.create(
    assignmentOf(1, { command: ["sh", "-c", "echo hello; sleep infinity"] }),
    stop.signal,
  );
  await runtime.start(task, stop.signal);
  const fake = createFakeServer(systemClock);
  const wire = serveWire(fake);
  const client = createClient({ url: wire.url, token: wire.credential });
  const tunnels = createTunnels({
    runtime: { ...runtime, ...replace },
    clock: systemClock,
    log: () => {},
    connect: (sessionId, url) => client.answerTunnel(node, sessionId, url),
  });
  const sockets: Session[] = [];
  try {
    await body({
      runtime,
      tunnels,
      fake,
      wire,
      async open(open) {
        const opened = wire.tunnel(open);
        tunnels.answer(fake.tunnels.splice(0), stop.signal);
        const session = sessionOf(await opened);
        sockets.push(session);
        return session;
      },
    });
  } finally {
    stop.abort();
    await tunnels.settle();
    await Promise.all(sockets.map((s) => s.closed));
    await runtime.close();
    await wire.close();
  }
}

function sessionOf(socket: WebSocket): Session {
  const received: Uint8Array[] = [];
  const controls: unknown[] = [];
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener("close", () => resolve());
  });
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") controls.push(JSON.parse(data));
    else received.push(new Uint8Array(data));
  });
  return {
    socket,
    controls,
    closed,
    text: (channel) =>
      received.filter((frame) => frame[0] === channel)
        .map((frame) => new TextDecoder().decode(frame.subarray(1))).join(""),
    send(channel, text) {
      const bytes = new TextEncoder().encode(text);
      const frame = new Uint8Array(bytes.length + 1);
      frame[0] = channel;
      frame.set(bytes, 1);
      socket.send(frame);
    },
  };
}

const logs = (options: Partial<LogsOptions> = {}): TunnelOpen => ({
  kind: "logs",
  taskId: task,
  options: LogsOptions.parse(options),
});
const exec = (command: string[], options: Partial<ExecOptions> = {}): TunnelOpen => ({
  kind: "exec",
  taskId: task,
  options: ExecOptions.parse({ command, ...options }),
});

Deno.test("logs come through on their channel, then the end", async () => {
  await withTunnels(async ({ open }) => {
    const session = await open(logs());
    await session.closed;
    assertEquals(session.text(CHANNEL.stdout), "hello\n");
    assertEquals(session.controls, [{ type: "exit", code: 0 }]);
  });
});

Deno.test("a task without a container is an error, in words", async () => {
  await withTunnels(async ({ open }) => {
    const session = await open({ kind: "logs", taskId: idOf(2), options: LogsOptions.parse({}) });
    await session.closed;
    assertStringIncludes(JSON.stringify(session.controls), "no such container");
  });
});

Deno.test("a command reads its input to the end, and its exit code comes back", async () => {
  await withTunnels(async ({ open }) => {
    const session = await open(exec(["sh", "-c", "cat; exit 7"], { stdin: true }));
    session.send(CHANNEL.stdin, "one\n");
    session.send(CHANNEL.stdin, "two\n");
    session.socket.send(JSON.stringify({ type: "stdin-end" }));
    await session.closed;
    assertEquals(session.text(CHANNEL.stdout), "one\ntwo\n");
    assertEquals(session.controls, [{ type: "exit", code: 7 }]);
  });
});

Deno.test("a signal reaches the command", async () => {
  await withTunnels(async ({ open, runtime }) => {
    const session = await open(exec(["sleep", "infinity"]));
    await eventually(() => runtime.control.processes(task).length === 1);
    session.socket.send(JSON.stringify({ type: "signal", signal: "SIGINT" }));
    await session.closed;
    assertEquals(session.controls, [{ type: "exit", code: 130 }]);
  });
});

Deno.test("a broken socket leaves no command running", async () => {
  await withTunnels(async ({ open, runtime, tunnels }) => {
    const session = await open(exec(["sleep", "infinity"]));
    await eventually(() => runtime.control.processes(task).length === 1);
    session.socket.close();
    await eventually(() => runtime.control.processes(task).length === 0);
    await eventually(() => tunnels.open === 0);
  });
});

Deno.test("the agent's end ends its sessions and their commands", async () => {
  let control: SimRuntime["control"] | undefined;
  await withTunnels(async ({ open, runtime }) => {
    control = runtime.control;
    await open(exec(["sleep", "infinity"]));
    await open(logs({ follow: true }));
    await eventually(() => runtime.control.processes(task).length === 1);
  });
  assertEquals(control?.processes(task), []);
});

Deno.test("what a command cannot be started for is told, and nothing else", async () => {
  const refuse = () =>
    Promise.resolve({ ok: false as const, kind: "refused" as const, message: "not running" });
  await withTunnels(async ({ open }) => {
    const session = await open(exec(["true"]));
    await session.closed;
    assertEquals(session.controls, [{ type: "error", message: "not running" }]);
  }, { exec: refuse });
});

Deno.test("a session is answered once, however often it is asked for", async () => {
  await withTunnels(async ({ fake, tunnels, wire }) => {
    const { signal } = new AbortController();
    const opened = wire.tunnel(logs());
    const requests = fake.tunnels.splice(0);
    tunnels.answer(requests, signal);
    tunnels.answer(requests, signal);
    assertEquals(tunnels.open, 1);
    await sessionOf(await opened).closed;
    await tunnels.settle();
    tunnels.answer(requests, signal);
    assertEquals(tunnels.open, 0);
  });
});

/** A socket that never opens: what a session looks like while nobody answers it. */
class SilentSocket extends EventTarget {
  readonly readyState = WebSocket.CONNECTING;
  readonly bufferedAmount = 0;
  binaryType = "arraybuffer";
  close(): void {
    this.dispatchEvent(new Event("close"));
  }
}

Deno.test("no more than a fixed number of sessions are open, and none for ever", async () => {
  const stop = new AbortController();
  const waits: (() => void)[] = [];
  const tunnels = createTunnels({
    runtime: createSimRuntime({
      clock: systemClock,
      random: () => 0.5,
      hostname: "n1",
      capacity: { cpus: 1, memoryMiB: 1 },
    }),
    clock: {
      ...systemClock,
      sleep: (_ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          waits.push(resolve);
          signal?.addEventListener("abort", () => resolve(), { once: true });
        }),
    },
    log: () => {},
    connect: () => new SilentSocket() as unknown as WebSocket,
  });
  tunnels.answer(Array.from({ length: 100 }, (_, n) => ({ sessionId: idOf(n) })), stop.signal);
  assertEquals(tunnels.open, MAX_SESSIONS);
  for (const timeIsUp of waits.splice(0)) timeIsUp();
  await tunnels.settle();
  assertEquals(tunnels.open, 0);
});

Deno.test("output waits while the socket has no room", async () => {
  const chunk = new Uint8Array(64 * 1024);
  let produced = 0;
  async function* endless(signal: AbortSignal): AsyncGenerator<OutputChunk> {
    while (!signal.aborted) {
      produced += chunk.length;
      yield { stream: "stdout", data: chunk };
      await Promise.resolve();
    }
  }
  class FullSocket extends SilentSocket {
    override readonly readyState = WebSocket.OPEN as never;
    override bufferedAmount = 0 as never;
    send(data: Uint8Array | string): void {
      (this as { bufferedAmount: number }).bufferedAmount += data.length;
    }
  }
  const socket = new FullSocket();
  const stop = new AbortController();
  const tunnels = createTunnels({
    runtime: {
      logs: (_taskId, _options, signal) =>
        Promise.resolve({ ok: true as const, value: endless(signal) }),
      exec: () => Promise.resolve({ ok: false, kind: "refused", message: "" }),
      dial: () => Promise.resolve({ ok: false, kind: "refused", message: "" }),
      volumes: noVolumes,
      inside: noInside,
      list: () => Promise.reject(new Error("unused")),
    },
    clock: systemClock,
    log: () => {},
    connect: () => socket as unknown as WebSocket,
  });
  tunnels.answer([{ sessionId: idOf(1) }], stop.signal);
  socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(logs()) }));
  await eventually(() => produced > HIGH_WATER_BYTES);
  await systemClock.sleep(50);
  assertLess(produced, HIGH_WATER_BYTES + 3 * chunk.length);
  stop.abort();
  await tunnels.settle();
  assert(produced > 0);
});

Deno.test("who is attached hears the main process, which goes on when the connection breaks", () =>
  withTunnels(async ({ runtime, open }) => {
    const session = await open({ kind: "attach", taskId: task, options: { stdin: false } });
    await eventually(() => runtime.control.calls("attach") === 1, { what: "the attachment" });
    session.socket.close();
    await session.closed;
    const status = await runtime.inspect(task, AbortSignal.timeout(1000));
    assertEquals(status.ok && status.value?.state, "running");
  }));

Deno.test("statistics come in lines until the client leaves", () =>
  withTunnels(async ({ open }) => {
    const session = await open({ kind: "stats", options: { intervalMs: 100 } });
    await eventually(() => session.text(CHANNEL.stdout).split("\n").length > 2, {
      what: "two lines",
    });
    const [line = ""] = session.text(CHANNEL.stdout).split("\n");
    assertEquals(JSON.parse(line).tasks.map(({ taskId }: { taskId: string }) => taskId), [task]);
    session.socket.close();
    await session.closed;
  }));
