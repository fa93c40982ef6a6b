import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, createClient } from "../../api/client.ts";
import { forward, type Forwarding } from "../../cli/forward.ts";
import { parseForward, parseHeader, splitTarget } from "../../cli/format/forward.ts";
import { reach } from "../../cli/reach.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { WINDOW_BYTES } from "../../kv/schema/window.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { createTunnels } from "../../worker/tunnel.ts";
import { okValue, withApi } from "../support/api.ts";
import { noInside, noVolumes } from "../support/no_volumes.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";
import {
  ask,
  echoServer,
  freePort,
  readAll,
  readAllBytes,
  send,
  sendBytes,
  tcpServer,
} from "../support/traffic.ts";

const NODE = idOf(1);
const TASK = idOf(11);

interface Scene {
  client: Client;
  /** Opens a local port to `port` of the task. */
  open(port: number): Forwarding;
  troubles: string[];
}

/** The real API and the agent's tunnels; ports "of the task" are ports of this machine. */
async function withTunnels(run: (scene: Scene) => Promise<void>): Promise<void> {
  await withApi(async (t) => {
    const credential = await seedNode(t.kv, NODE, "n1");
    await seedService(t.kv, idOf(2), specOf());
    await seedTask(t.kv, { id: TASK, serviceId: idOf(2), nodeId: NODE });
    await seedObserved(t.kv, seen(TASK));
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, t.api.fetch);
    const url = `http://127.0.0.1:${server.addr.port}`;
    const client = createClient({ url, token: t.admin });
    const agent = createClient({ url, token: credential });
    const stop = new AbortController();
    const dial: Runtime["dial"] = async (_taskId, port) => {
      try {
        return { ok: true, value: await Deno.connect({ hostname: "127.0.0.1", port }) };
      } catch (error) {
        return { ok: false, kind: "refused", message: `port ${port}: ${error}` };
      }
    };
    const unused = () => Promise.reject(new Error("not in this test"));
    const tunnels = createTunnels({
      runtime: {
        dial,
        list: unused,
        logs: unused,
        exec: unused,
        volumes: noVolumes,
        inside: noInside,
      },
      clock: systemClock,
      log: () => {},
      connect: (sessionId, base) => agent.answerTunnel(NODE, sessionId, base),
    });
    const polling = (async () => {
      let since = 0;
      while (!stop.signal.aborted) {
        const polled = await agent.poll(NODE, { since, holdMs: 1000 }, { signal: stop.signal });
        if (!polled.ok) continue;
        since = polled.value.version;
        tunnels.answer(polled.value.tunnels, stop.signal);
      }
    })();
    const troubles: string[] = [];
    const opened: Forwarding[] = [];
    try {
      await run({
        ...{ client, troubles },
        open(port) {
          const made = forward(client, { hostname: "127.0.0.1", port: 0 }, {
            chooseTask: () => Promise.resolve({ ok: true, taskId: TASK }),
            port,
            onTrouble: (message) => void troubles.push(message),
          });
          opened.push(made);
          return made;
        },
      });
    } finally {
      await Promise.all(opened.map((one) => one.close()));
      stop.abort();
      await polling;
      await tunnels.settle();
      await t.api.close();
      await server.shutdown();
    }
  });
}

Deno.test("a forwarded connection carries bytes both ways, and the end of each direction", () =>
  withTunnels(async ({ open, troubles }) => {
    await using server = tcpServer(async (conn) => {
      await send(conn, `you said ${await readAll(conn)}`);
    });
    const { port } = open(server.port);
    for (const text of ["hello", "again"]) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await send(conn, text);
      await conn.closeWrite();
      assertEquals(await readAll(conn), `you said ${text}`);
    }
    assertEquals(troubles, []);
  }));

Deno.test("much more than the window passes, in both directions at once", () =>
  withTunnels(async ({ open }) => {
    await using server = echoServer();
    const { port } = open(server.port);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const bytes = new Uint8Array(20 * WINDOW_BYTES).map((_, i) => i * 7 + (i >> 11));
    const reading = readAllBytes(conn);
    await sendBytes(conn, bytes);
    await conn.closeWrite();
    const back = await reading;
    assertEquals(back.length, bytes.length);
    assert(back.every((byte, i) => byte === bytes[i]));
  }));

Deno.test("a slow local reader ends no session, and what waits for it is bounded", () =>
  withTunnels(async ({ open, troubles }) => {
    let sent = 0;
    const chunk = new Uint8Array(64 * 1024);
    await using server = tcpServer(async (conn) => {
      while (sent < 64 * 1024 * 1024) {
        await sendBytes(conn, chunk);
        sent += chunk.length;
      }
    });
    const { port } = open(server.port);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    let before = -1;
    let looks = 0;
    await eventually(() => {
      looks = sent > 0 && sent === before ? looks + 1 : 0;
      before = sent;
      return looks > 10;
    });
    assert(sent < 32 * 1024 * 1024, `${sent} bytes were taken`);
    let got = 0;
    const buffer = new Uint8Array(1024 * 1024);
    while (got < sent) got += await conn.read(buffer) ?? sent;
    assertEquals(troubles, []);
  }));

Deno.test("a port on which nothing listens is told, and the forwarding goes on", () =>
  withTunnels(async ({ open, troubles }) => {
    const closed = open(freePort());
    assertEquals(await ask(closed.port), "");
    await eventually(() => troubles.length === 1);
    assertStringIncludes(troubles[0] ?? "", "refused");
    assertEquals(await ask(closed.port), "");
  }));

Deno.test("closing ends the local port and its connections", () =>
  withTunnels(async ({ open }) => {
    await using server = echoServer("hi");
    const forwarding = open(server.port);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: forwarding.port });
    const buffer = new Uint8Array(2);
    assertEquals(await conn.read(buffer), 2);
    await forwarding.close();
    assertEquals(await conn.read(buffer).catch(() => null), null);
    await eventually(() => server.open() === 0);
  }));

Deno.test("connections to a service go to its ready tasks in turn; a task is named as it is elsewhere", () =>
  withTunnels(async ({ client }) => {
    const service = okValue(await reach(client, "web", undefined));
    const chosen = await service.chooseTask();
    assertEquals(chosen, { ok: true, taskId: TASK });
    const task = okValue(await reach(client, "web.1", undefined));
    assertEquals([task.name, await task.chooseTask()], ["web.1", { ok: true, taskId: TASK }]);
    const missing = await reach(client, "nope", undefined);
    assert(!missing.ok && missing.error.kind === "problem");
    assertEquals(missing.error.problem.status, 404);
  }));

Deno.test("ports, headers and targets are read as people write them", () => {
  const pair = (text: string) => {
    const parsed = parseForward(text);
    return parsed.ok ? [parsed.value.local, parsed.value.remote] : undefined;
  };
  assertEquals(["80", "8080:80", "0:80"].map(pair), [[80, 80], [8080, 80], [0, 80]]);
  assertEquals(
    ["", "0", "80:0", "x", "1:2:3", "70000", "70000:1"].map(pair),
    Array(7).fill(undefined),
  );
  assertEquals(parseHeader("accept: text/html"), { ok: true, value: ["accept", "text/html"] });
  assert(!parseHeader("no header").ok);
  assertEquals(splitTarget("web/a/b?c=d"), { ref: "web", path: "/a/b?c=d" });
  assertEquals([splitTarget("web").path, splitTarget("web?x").path], ["/", "/?x"]);
});
