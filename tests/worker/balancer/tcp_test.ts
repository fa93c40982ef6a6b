import { assert, assertEquals } from "@std/assert";
import { withBalancer } from "../../support/balancing.ts";
import { eventually } from "../../support/eventually.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import {
  ask,
  echoServer,
  freePort,
  namedServer,
  readAll,
  readAllBytes,
  readSome,
  send,
  sendBytes,
  tcpServer,
} from "../../support/traffic.ts";

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

Deno.test("what a client sends arrives, and what comes back too, byte for byte, however much it is", () =>
  withBalancer(async (t) => {
    await using server = echoServer();
    await t.use({ places: [{ task: 1, port: server.port }] });
    for (const size of [0, 1, 4095, 4096, 4097, 70_000, 3_000_000]) {
      using conn = await connect(t.port);
      const sent = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
      const bytes = new Uint8Array(size).map((_, i) => (sent[i % sent.length] ?? 0) ^ (i >> 16));
      const reading = readAllBytes(conn);
      await sendBytes(conn, bytes);
      await conn.closeWrite();
      assertEquals(await reading, bytes, `${size} bytes`);
    }
    await eventually(() => t.balancer.connections() === 0);
  }));

Deno.test("the end of one direction is passed on, and the other one goes on", () =>
  withBalancer(async (t) => {
    await using server = tcpServer(async (conn) => {
      const got = await readAll(conn);
      await send(conn, `you said ${got} and ended`);
    });
    await t.use({ places: [{ task: 1, port: server.port }] });
    using conn = await connect(t.port);
    await send(conn, "hello");
    await conn.closeWrite();
    assertEquals(await readAll(conn), "you said hello and ended");
  }));

Deno.test("a slow reader holds up its sender and nobody's memory", () =>
  withBalancer(async (t) => {
    const chunk = new Uint8Array(64 * 1024);
    let sent = 0;
    await using server = tcpServer(async (conn) => {
      while (sent < 512 * 1024 * 1024) {
        await sendBytes(conn, chunk);
        sent += chunk.length;
      }
    });
    await t.use({ places: [{ task: 1, port: server.port }] });
    using _conn = await connect(t.port);
    let before = -1;
    let looks = 0;
    // Until nothing moves any more: what is under way is in the kernel's buffers.
    await eventually(() => {
      looks = sent > 0 && sent === before ? looks + 1 : 0;
      before = sent;
      return looks > 5;
    });
    assert(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
  }));

Deno.test("a connect that is refused goes to another task, and after a few such the task is left alone", () =>
  withBalancer(async (t) => {
    await using server = namedServer("b");
    await t.use({
      balance: { policy: "round-robin" },
      places: [{ task: 1, port: freePort() }, { task: 2, port: server.port }],
    });
    for (let i = 0; i < 20; i++) assertEquals(await ask(t.port), "b");
    assertEquals(server.accepted(), 20);
  }));

Deno.test("a task whose host does not answer costs the timeout once, and then nobody's time", () =>
  withBalancer(async (t) => {
    await using server = namedServer("b");
    // A full backlog: the kernel drops what comes to it, as a host does that is cut off.
    using deaf = Deno.listen(
      { hostname: "127.0.0.1", port: 0, tcpBacklog: 1 } as Deno.ListenOptions,
    );
    const { port } = deaf.addr as Deno.NetAddr;
    const fillers: Promise<Deno.Conn | undefined>[] = [];
    const full = new AbortController();
    for (let i = 0; i < 8; i++) {
      fillers.push(
        Deno.connect({ hostname: "127.0.0.1", port, signal: full.signal }).catch(() => undefined),
      );
    }
    await t.use({
      balance: { policy: "round-robin", connectTimeoutMs: 150 },
      places: [{ task: 1, port }, { task: 2, port: server.port }],
    });
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(t.port)));
    assertEquals(answers, new Array(10).fill("b"));
    full.abort();
    for (const filler of await Promise.all(fillers)) filler?.close();
  }));

Deno.test("without a task that may answer, connections are closed at once", () =>
  withBalancer(async (t) => {
    await t.use({ places: [] });
    assertEquals(await ask(t.port), "");
    await t.use({ places: [{ task: 1, port: freePort(), state: "starting" }] });
    assertEquals(await ask(t.port), "");
    await t.use({ places: [{ task: 1, port: freePort() }] });
    assertEquals(await ask(t.port), "");
    assertEquals(t.balancer.connections(), 0);
  }));

Deno.test("a task that drains keeps its connections and gets no new ones; one that is gone loses them", () =>
  withBalancer(async (t) => {
    await using old = echoServer("old");
    await using next = echoServer("new");
    const places = [{ task: 1, port: old.port }];
    await t.use({ places });
    using held = await connect(t.port);
    assertEquals(await readSome(held), "old");
    await t.use({
      places: [{ task: 1, port: old.port, state: "draining" }, { task: 2, port: next.port }],
    });
    for (let i = 0; i < 5; i++) {
      using conn = await connect(t.port);
      assertEquals(await readSome(conn), "new");
    }
    await send(held, "still here");
    assertEquals(await readSome(held), "still here");
    await t.use({ places: [{ task: 2, port: next.port }] });
    assertEquals(await readSome(held).catch(() => undefined), undefined);
    assertEquals(old.accepted(), 1);
  }));

Deno.test("no more connections than the limit; one that ends makes room", () =>
  withBalancer(async (t) => {
    await using server = echoServer("hi");
    await t.use({ balance: { maxConnections: 2 }, places: [{ task: 1, port: server.port }] });
    const first = await connect(t.port);
    using second = await connect(t.port);
    assertEquals([await readSome(first), await readSome(second)], ["hi", "hi"]);
    using third = await connect(t.port);
    assertEquals(await readSome(third).catch(() => undefined), undefined);
    first.close();
    await eventually(() => t.balancer.connections() === 1);
    using fourth = await connect(t.port);
    assertEquals(await readSome(fourth), "hi");
  }));

Deno.test("a connection that is idle for too long is closed, one that is used is not", async () => {
  const clock = createFakeClock();
  await withBalancer(async (t) => {
    await using server = echoServer("hi");
    await t.use({ balance: { idleMs: 10_000 }, places: [{ task: 1, port: server.port }] });
    using idle = await connect(t.port);
    using used = await connect(t.port);
    assertEquals([await readSome(idle), await readSome(used)], ["hi", "hi"]);
    for (let i = 0; i < 6; i++) {
      await clock.advance(2_000);
      await send(used, "x");
      assertEquals(await readSome(used), "x");
    }
    assertEquals(await readSome(idle), undefined);
    assertEquals(t.balancer.connections(), 1);
  }, { clock });
});

Deno.test("with the PROXY protocol the task is told who the client is, before anything else", () =>
  withBalancer(async (t) => {
    await using server = tcpServer(async (conn) => {
      const header = new Uint8Array(28);
      for (let at = 0; at < header.length;) at += await conn.read(header.subarray(at)) ?? 28;
      const client = [...header.subarray(16, 20)].join(".");
      const port = (header[24] ?? 0) << 8 | (header[25] ?? 0);
      await send(conn, `${client}:${port} said ${await readAll(conn)}`);
    });
    await t.use({ balance: { proxyProtocol: true }, places: [{ task: 1, port: server.port }] });
    using conn = await connect(t.port);
    await send(conn, "hello");
    await conn.closeWrite();
    assertEquals(await readAll(conn), `127.0.0.1:${conn.localAddr.port} said hello`);
  }));

Deno.test("tasks of this node come first when that is asked for", () =>
  withBalancer(async (t) => {
    await using near = namedServer("near");
    await using far = namedServer("far");
    const places = [{ task: 1, port: far.port, node: 8 }, { task: 2, port: near.port, node: 9 }];
    await t.use({ balance: { preferLocal: true }, places });
    for (let i = 0; i < 5; i++) assertEquals(await ask(t.port), "near");
    await t.use({ balance: { preferLocal: false, policy: "round-robin" }, places });
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(t.port)));
    assertEquals(answers.sort().join(), "far,far,far,far,near,near,near,near");
  }));
