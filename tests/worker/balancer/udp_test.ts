import { createSocket, type Socket } from "node:dgram";
import { assertEquals } from "@std/assert";
import { withBalancer } from "../../support/balancing.ts";
import { eventually } from "../../support/eventually.ts";
import { createFakeClock } from "../../support/fake_clock.ts";

interface Peer extends AsyncDisposable {
  port: number;
  got: string[];
  /** The ports that it came from. */
  from: number[];
  send(text: string, port: number): void;
}

/** A socket that keeps what it gets and, with a name, answers with it. */
async function peer(name?: string): Promise<Peer> {
  const socket: Socket = createSocket("udp4");
  const got: string[] = [];
  const ports: number[] = [];
  socket.on("message", (data, from) => {
    got.push(String(data));
    ports.push(from.port);
    if (name !== undefined) socket.send(`${name}:${data}`, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", () => resolve()));
  return {
    port: socket.address().port,
    got,
    from: ports,
    send: (text, port) => socket.send(text, port, "127.0.0.1"),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

Deno.test("a client's datagrams go to one task, and its answers come back to that client", () =>
  withBalancer(async (t) => {
    await using a = await peer("a");
    await using b = await peer("b");
    await t.use({
      protocol: "udp",
      balance: { policy: "round-robin" },
      places: [{ task: 1, port: a.port }, { task: 2, port: b.port }],
    });
    await using one = await peer();
    await using two = await peer();
    for (const text of ["1", "2", "3"]) {
      one.send(text, t.port);
      two.send(text, t.port);
    }
    await eventually(() => one.got.length === 3 && two.got.length === 3);
    const answers = [one.got.sort().join(), two.got.sort().join()].sort();
    assertEquals(answers, ["a:1,a:2,a:3", "b:1,b:2,b:3"]);
    assertEquals(t.balancer.connections(), 2);
  }));

Deno.test("a session that is idle ends, and its client may get another task", async () => {
  const clock = createFakeClock();
  await withBalancer(async (t) => {
    await using a = await peer("a");
    await using b = await peer("b");
    await t.use({
      protocol: "udp",
      balance: { policy: "round-robin", idleMs: 5_000 },
      places: [{ task: 1, port: a.port }, { task: 2, port: b.port }],
    });
    await using client = await peer();
    client.send("1", t.port);
    await eventually(() => client.got.length === 1);
    for (let i = 0; i < 7; i++) await clock.advance(1_000);
    assertEquals(t.balancer.connections(), 0);
    client.send("2", t.port);
    await eventually(() => client.got.length === 2);
    assertEquals(client.got, ["a:1", "b:2"]);
  }, { clock });
});

Deno.test("a task that left the table loses its sessions, and its clients get another one", () =>
  withBalancer(async (t) => {
    await using a = await peer("a");
    await using b = await peer("b");
    const first = { protocol: "udp" as const, places: [{ task: 1, port: a.port }] };
    await t.use(first);
    await using client = await peer();
    client.send("1", t.port);
    await eventually(() => client.got.length === 1);
    await t.use({ ...first, places: [{ task: 2, port: b.port }] });
    assertEquals(t.balancer.connections(), 0);
    client.send("2", t.port);
    await eventually(() => client.got.length === 2);
    assertEquals(client.got, ["a:1", "b:2"]);
  }));

Deno.test("what others than the task send to a session does not reach the client", () =>
  withBalancer(async (t) => {
    await using task = await peer();
    await t.use({ protocol: "udp", places: [{ task: 1, port: task.port }] });
    await using client = await peer();
    client.send("question", t.port);
    const session = await eventually(() => task.from[0]);
    await using stranger = await peer();
    stranger.send("forged", session);
    task.send("answer", session);
    await eventually(() => client.got.length > 0);
    assertEquals(client.got, ["answer"]);
  }));

Deno.test("no more sessions than the limit", () =>
  withBalancer(async (t) => {
    await using a = await peer("a");
    await t.use({
      protocol: "udp",
      balance: { maxConnections: 1 },
      places: [{ task: 1, port: a.port }],
    });
    await using one = await peer();
    await using two = await peer();
    one.send("1", t.port);
    await eventually(() => one.got.length === 1);
    two.send("2", t.port);
    one.send("3", t.port);
    await eventually(() => one.got.length === 2);
    assertEquals([t.balancer.connections(), two.got.length], [1, 0]);
  }));
