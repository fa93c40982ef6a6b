import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, createClient } from "../../api/client.ts";
import { key } from "../../kv/keys.ts";
import { CHANNEL, TunnelControl, TunnelOpen } from "../../kv/schema/agent.ts";
import { type TestApi, withApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { idOf } from "../support/ids.ts";
import {
  AT,
  seedNode,
  seedObserved,
  seedService,
  seedTask,
  seen,
  specOf,
} from "../support/seed.ts";

const NODE = idOf(1);
const TASK = idOf(11);

interface Served {
  t: TestApi;
  user: Client;
  agent: Client;
  url: string;
}

/** The API on a real socket, with a node and a running task `web.1` on it. */
async function withServer(
  run: (served: Served) => Promise<void>,
  options: { clock?: FakeClock } = {},
): Promise<void> {
  await withApi(async (t) => {
    const credential = await seedNode(t.kv, NODE, "n1");
    await seedService(t.kv, idOf(2), specOf());
    await seedTask(t.kv, { id: TASK, serviceId: idOf(2), nodeId: NODE });
    await seedObserved(t.kv, seen(TASK));
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      t.api.fetch,
    );
    const url = `http://127.0.0.1:${server.addr.port}`;
    try {
      await run({
        ...{ t, url },
        user: createClient({ url, token: t.admin }),
        agent: createClient({ url, token: credential }),
      });
    } finally {
      await t.api.close();
      await server.shutdown();
    }
  }, options);
}

/** A socket with what it received so far. */
interface Peer {
  socket: WebSocket;
  frames: (string | Uint8Array)[];
  /** Whether it ever was open. */
  opened(): boolean;
  closed: Promise<CloseEvent>;
}

function peerOf(socket: WebSocket): Peer {
  const frames: Peer["frames"] = [];
  socket.addEventListener("message", ({ data }) => {
    frames.push(typeof data === "string" ? data : new Uint8Array(data));
  });
  let open = false;
  socket.addEventListener("open", () => open = true, { once: true });
  const closed = new Promise<CloseEvent>((resolve) => {
    socket.addEventListener("close", resolve, { once: true });
  });
  return { socket, frames, closed, opened: () => open };
}

async function hangUp(...peers: Peer[]): Promise<void> {
  for (const { socket } of peers) socket.close();
  for (const { closed } of peers) await closed;
}

/** What an agent does: polls, and dials what it is asked to. */
async function dialBack({ t, agent }: Served): Promise<Peer> {
  const sessionId = await eventually(async () => {
    const answer = await agent.poll(NODE, { since: t.feed.head(), holdMs: 500 });
    return answer.ok ? answer.value.tunnels[0]?.sessionId : undefined;
  }, { what: "a tunnel request" });
  return peerOf(agent.answerTunnel(NODE, sessionId));
}

function errorOf(peer: Peer): string {
  const last = TunnelControl.parse(JSON.parse(String(peer.frames.at(-1))));
  assert(last.type === "error", JSON.stringify(last));
  return last.message;
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("logs flow from the agent to the client, and the session's end is both sides' end", () =>
  withServer(async (served) => {
    const client = peerOf(served.user.openLogs("web.1", { tail: 5 }));
    const agent = await dialBack(served);
    const open = await eventually(() => agent.frames[0]);
    assertEquals(TunnelOpen.parse(JSON.parse(String(open))), {
      kind: "logs",
      taskId: TASK,
      options: { follow: false, tail: 5, timestamps: false },
    });
    for (let n = 0; n < 100; n++) agent.socket.send(new Uint8Array([CHANNEL.stdout, n]));
    agent.socket.send(JSON.stringify({ type: "exit", code: 0 }));
    agent.socket.close();
    await client.closed;
    assertEquals(client.frames.length, 101);
    assertEquals(
      client.frames.slice(0, 100),
      Array.from({ length: 100 }, (_, n) => new Uint8Array([CHANNEL.stdout, n])),
    );
    assertEquals(client.frames.at(-1), JSON.stringify({ type: "exit", code: 0 }));
    await agent.closed;
    assertEquals((await served.t.kv.get(key.tunnel(NODE, "x"))).value, null);
  }));

Deno.test("exec flows both ways, and nothing that the client sent early is lost", () =>
  withServer(async (served) => {
    const client = peerOf(
      served.user.openExec("web.1", { command: ["cat"], stdin: true, tty: false, env: {} }),
    );
    await eventually(() => client.socket.readyState === WebSocket.OPEN);
    for (let n = 0; n < 20; n++) client.socket.send(new Uint8Array([CHANNEL.stdin, n]));
    client.socket.send(JSON.stringify({ type: "stdin-end" }));
    const agent = await dialBack(served);
    await eventually(() => agent.frames.length === 22);
    assertEquals(agent.frames[1], new Uint8Array([CHANNEL.stdin, 0]));
    assertEquals(agent.frames.at(-1), JSON.stringify({ type: "stdin-end" }));
    agent.socket.send(new Uint8Array([CHANNEL.stdout, ...bytes("hello")]));
    await eventually(() => client.frames.length === 1);
    await hangUp(client, agent);
  }));

Deno.test("a client that goes away ends the agent's side", () =>
  withServer(async (served) => {
    const client = peerOf(served.user.openLogs("web.1", { follow: true }));
    const agent = await dialBack(served);
    await eventually(() => agent.frames.length === 1);
    client.socket.close();
    await agent.closed;
    await client.closed;
  }));

Deno.test("32 MiB reach a client that reads", () =>
  withServer(async (served) => {
    const client = peerOf(served.user.openLogs("web.1", {}));
    const agent = await dialBack(served);
    await eventually(() => agent.frames.length === 1);
    const chunk = new Uint8Array(32 * 1024);
    for (let sent = 0; sent < 1024; sent++) {
      await eventually(() => agent.socket.bufferedAmount < 1024 * 1024);
      agent.socket.send(chunk);
    }
    agent.socket.close();
    await client.closed;
    const received = client.frames.reduce((sum, frame) => sum + frame.length, 0);
    assertEquals(received, 32 * 1024 * 1024);
    await agent.closed;
  }));

/** A client that shakes hands, says what it wants, and then reads nothing. */
async function deafClient({ url, t }: Served): Promise<Deno.TcpConn> {
  const { port } = new URL(url);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const handshake = [
    "GET /v1/tasks/web.1/logs HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    `Authorization: Bearer ${t.admin}`,
  ];
  await conn.write(bytes(handshake.join("\r\n") + "\r\n\r\n"));
  await conn.read(new Uint8Array(1024));
  // One masked text frame: `{}`, with a mask of zeros.
  await conn.write(new Uint8Array([0x81, 0x82, 0, 0, 0, 0, ...bytes("{}")]));
  return conn;
}

Deno.test("a client that does not read is cut off before it fills the server's memory", () =>
  withServer(async (served) => {
    const client = await deafClient(served);
    const agent = await dialBack(served);
    await eventually(() => agent.frames.length === 1);
    const chunk = new Uint8Array(64 * 1024);
    let sent = 0;
    const limit = 64 * 1024 * 1024;
    while (agent.socket.readyState === WebSocket.OPEN && sent < limit) {
      agent.socket.send(chunk);
      sent += chunk.length;
      await eventually(() =>
        agent.socket.readyState !== WebSocket.OPEN || agent.socket.bufferedAmount < 256 * 1024
      );
    }
    await agent.closed;
    assert(sent < limit, `${sent} bytes were taken`);
    client.close();
  }));

Deno.test("one session is answered once, and by its own node only", () =>
  withServer(async (served) => {
    const other = await seedNode(served.t.kv, idOf(3), "n3");
    const client = peerOf(served.user.openLogs("web.1", { follow: true }));
    const pending = await eventually(async () => {
      return (await Array.fromAsync(served.t.kv.list({ prefix: ["tunnel"] })))[0];
    });
    const sessionId = String(pending.key[2]);
    const thief = createClient({ url: served.url, token: other });
    for (const node of [NODE, idOf(3)]) {
      const refused = peerOf(thief.answerTunnel(node, sessionId));
      await refused.closed;
      assert(!refused.opened());
    }
    const agent = peerOf(served.agent.answerTunnel(NODE, sessionId));
    await eventually(() => agent.frames.length === 1);
    const second = peerOf(served.agent.answerTunnel(NODE, sessionId));
    await second.closed;
    assert(!second.opened());
    await eventually(async () => (await served.t.kv.get(pending.key)).value === null);
    await hangUp(client, agent);
  }));

Deno.test("an agent that does not answer is said to be silent, and leaves no request behind", async () => {
  const clock = createFakeClock();
  await withServer(async (served) => {
    const client = peerOf(served.user.openLogs("web.1", {}));
    await eventually(async () => {
      const rows = await Array.fromAsync(served.t.kv.list({ prefix: ["tunnel"] }));
      return rows.length === 1;
    });
    await clock.until(client.closed);
    assertStringIncludes(errorOf(client), "did not answer within 10 s");
    const rows = await Array.fromAsync(served.t.kv.list({ prefix: ["tunnel"] }));
    assertEquals(rows, []);
  }, { clock });
});

Deno.test("a client that does not say what it wants is told so", async () => {
  const clock = createFakeClock();
  await withServer(async ({ url, t }) => {
    const client = peerOf(
      new WebSocket(`${url.replace("http", "ws")}/v1/tasks/web.1/logs`, {
        headers: { authorization: `Bearer ${t.admin}` },
      }),
    );
    await eventually(() => client.socket.readyState === WebSocket.OPEN);
    await clock.until(client.closed);
    assertStringIncludes(errorOf(client), "first frame");
  }, { clock });
});

Deno.test("what cannot be reached is refused in words that help", () =>
  withServer(async ({ t, user, url }) => {
    await seedTask(t.kv, { id: idOf(12), serviceId: idOf(2), slot: 2, why: "no node has 9 GiB" });
    await seedTask(t.kv, { id: idOf(13), serviceId: idOf(2), slot: 3, nodeId: NODE });
    await seedTask(t.kv, {
      id: idOf(14),
      serviceId: idOf(2),
      slot: 4,
      nodeId: NODE,
      ended: "lost",
    });
    await seedNode(t.kv, idOf(5), "n5", { state: "down", since: AT, why: "silent for 6 s" });
    await seedTask(t.kv, { id: idOf(15), serviceId: idOf(2), slot: 5, nodeId: idOf(5) });
    const exec = { command: ["ls"], tty: false, stdin: false, env: {} };
    const table: [WebSocket, string][] = [
      [user.openLogs("web.9", {}), "no task in slot 9"],
      [user.openLogs("web.1", { project: "shop" }), "no service web in project shop"],
      [user.openLogs("web.2", {}), "no node has 9 GiB). See `berth why web.2`"],
      [user.openExec("web.3", exec), "is assigned, not running"],
      [user.openLogs("web.4", {}), "lost with its node"],
      [user.openLogs("web.5", {}), "node n5, which runs web.5, is down"],
      [user.openExec("web.1", { ...exec, command: [] }), "command"],
      [raw(url, t.admin, "not json"), "not JSON"],
      [raw(url, t.admin, new Uint8Array([1])), "first frame must be text"],
    ];
    const peers = table.map(([socket, message]) => ({ peer: peerOf(socket), message }));
    for (const { peer, message } of peers) {
      const { code } = await peer.closed;
      assertStringIncludes(errorOf(peer), message);
      assertEquals(code, 1008);
    }
    assertEquals(await Array.fromAsync(t.kv.list({ prefix: ["tunnel"] })), []);
  }));

function raw(url: string, token: string, first: string | Uint8Array<ArrayBuffer>): WebSocket {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/tasks/web.1/logs`, {
    headers: { authorization: `Bearer ${token}` },
  });
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => socket.send(first), { once: true });
  return socket;
}

Deno.test("a WebSocket without a token is refused", () =>
  withServer(async ({ url }) => {
    const peer = peerOf(new WebSocket(`${url.replace("http", "ws")}/v1/tasks/web.1/logs`));
    await peer.closed;
    assert(!peer.opened());
  }));

Deno.test("closing the API ends sessions that wait and sessions that are joined", () =>
  withServer(async (served) => {
    const joined = peerOf(served.user.openLogs("web.1", { follow: true }));
    const agent = await dialBack(served);
    await eventually(() => agent.frames.length === 1);
    const waiting = peerOf(served.user.openLogs("web.1", { follow: true }));
    await eventually(async () => {
      const rows = await Array.fromAsync(served.t.kv.list({ prefix: ["tunnel"] }));
      return rows.length === 1;
    });
    await served.t.api.close();
    for (const peer of [joined, waiting, agent]) await peer.closed;
    assertStringIncludes(errorOf(joined), "shutting down");
    assertStringIncludes(errorOf(waiting), "shutting down");
  }));
