import { assert, assertEquals, assertExists, assertMatch, assertStringIncludes } from "@std/assert";
import { Problem } from "../../kv/schema/common.ts";
import type { Kv } from "../../kv/store.ts";
import { type SendInit, type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { bound, dump } from "../support/kv.ts";
import { seedNode } from "../support/seed.ts";

const GOOD = { name: "web", template: { image: "nginx:1.27" } };

interface Case {
  what: string;
  method: string;
  path: string;
  init?: SendInit;
  status: number;
  type: string;
  /** Fields that `errors` must name. */
  fields?: string[];
}

const CASES: Case[] = [
  {
    what: "an unknown route",
    method: "GET",
    path: "/v2/services",
    status: 404,
    type: "no-route",
  },
  {
    what: "an unknown asset",
    method: "GET",
    path: "/docs/passwd",
    status: 404,
    type: "no-route",
  },
  {
    what: "an asset named like a property of every object",
    method: "GET",
    path: "/docs/constructor",
    status: 404,
    type: "no-route",
  },
  { what: "a wrong method", method: "PATCH", path: "/v1/services", status: 405, type: "method" },
  {
    what: "a wrong method on an object",
    method: "POST",
    path: "/v1/nodes/n1",
    status: 405,
    type: "method",
  },
  {
    what: "no token",
    method: "GET",
    path: "/v1/services",
    init: { token: null },
    status: 401,
    type: "unauthorised",
  },
  {
    what: "a wrong token",
    method: "GET",
    path: "/v1/services",
    init: { token: "berth_admin_wrong" },
    status: 401,
    type: "unauthorised",
  },
  {
    what: "misspelt fields, however deep",
    method: "POST",
    path: "/v1/services",
    init: {
      body: JSON.stringify({
        ...GOOD,
        replicas: 3,
        template: { image: "a", ports: [{ target: 80, publish: 8080 }] },
      }),
    },
    status: 400,
    type: "invalid",
    fields: ["replicas", "template.ports.0.publish"],
  },
  {
    what: "malformed JSON",
    method: "POST",
    path: "/v1/services",
    init: { body: "{" },
    status: 400,
    type: "malformed",
    fields: ["body"],
  },
  {
    what: "an empty body",
    method: "POST",
    path: "/v1/services",
    init: { body: "" },
    status: 400,
    type: "malformed",
  },
  {
    what: "another content type",
    method: "POST",
    path: "/v1/services",
    init: { body: "name=web", headers: { "content-type": "application/x-www-form-urlencoded" } },
    status: 415,
    type: "media-type",
  },
  {
    what: "a body over 1 MiB",
    method: "POST",
    path: "/v1/services",
    init: { body: JSON.stringify({ ...GOOD, labels: { a: "x".repeat(1024 * 1024) } }) },
    status: 413,
    type: "too-large",
  },
  {
    what: "a spec over 64 KiB",
    method: "POST",
    path: "/v1/services",
    init: {
      body: {
        name: "web",
        template: {
          image: "a",
          env: { A: "x".repeat(32_000), B: "x".repeat(32_000), C: "xxxx".repeat(999) },
        },
      },
    },
    status: 413,
    type: "too-large",
    fields: ["template"],
  },
  {
    what: "a body that is no object",
    method: "POST",
    path: "/v1/services",
    init: { body: [] },
    status: 400,
    type: "invalid",
    fields: ["body"],
  },
  {
    what: "deep fields",
    method: "POST",
    path: "/v1/services",
    init: {
      body: {
        name: "We_b",
        mode: { type: "replicated", replicas: -1 },
        template: { image: "n x", env: { "A=B": "" }, ports: [{ target: 80 }, { target: 0 }] },
      },
    },
    status: 400,
    type: "invalid",
    fields: [
      "name",
      "mode.replicas",
      "template.image",
      "template.env.A=B",
      "template.ports.1.target",
    ],
  },
  {
    what: "a query",
    method: "GET",
    path: "/v1/services?limit=501&project=-",
    status: 400,
    type: "invalid",
    fields: ["query.limit", "query.project"],
  },
  {
    what: "a cursor of another list",
    method: "GET",
    path: "/v1/services?cursor=YQ",
    status: 400,
    type: "invalid",
    fields: ["query.cursor"],
  },
  {
    what: "a path parameter",
    method: "GET",
    path: "/v1/services/A%20B",
    status: 400,
    type: "invalid",
    fields: ["path.ref"],
  },
  {
    what: "a header",
    method: "POST",
    path: "/v1/services",
    init: { body: GOOD, headers: { "idempotency-key": "a b" } },
    status: 400,
    type: "invalid",
    fields: ["header.idempotency-key"],
  },
  {
    what: "a last event id",
    method: "GET",
    path: "/v1/events",
    init: { headers: { accept: "text/event-stream", "last-event-id": "x" } },
    status: 400,
    type: "invalid",
    fields: ["header.last-event-id"],
  },
  {
    what: "a missing service",
    method: "GET",
    path: "/v1/services/nope",
    status: 404,
    type: "not-found",
  },
  {
    what: "a missing service to change",
    method: "PUT",
    path: "/v1/services/nope",
    init: { body: { ...GOOD, name: "nope" } },
    status: 404,
    type: "not-found",
  },
  { what: "a missing node", method: "GET", path: "/v1/nodes/nope", status: 404, type: "not-found" },
  {
    what: "a missing task",
    method: "GET",
    path: "/v1/tasks/web.9/why",
    status: 404,
    type: "not-found",
  },
  {
    what: "a missing parked message",
    method: "POST",
    path: `/v1/queue/parked/${idOf(5)}/retry`,
    status: 404,
    type: "not-found",
  },
  {
    what: "a taken name",
    method: "POST",
    path: "/v1/services",
    init: { body: { ...GOOD, name: "taken" } },
    status: 409,
    type: "name-taken",
  },
  {
    what: "a rename",
    method: "PUT",
    path: "/v1/services/taken",
    init: { body: { ...GOOD, name: "other" } },
    status: 400,
    type: "invalid",
    fields: ["name"],
  },
  {
    what: "an old version",
    method: "DELETE",
    path: "/v1/services/taken",
    init: { headers: { "if-match": '"00000000000000000000"' } },
    status: 412,
    type: "changed",
  },
  {
    what: "a weak entity tag, which no change may rely on",
    method: "DELETE",
    path: "/v1/services/taken",
    init: { headers: { "if-match": 'W/"00000000000000000000"' } },
    status: 412,
    type: "changed",
  },
  {
    what: "a used idempotency key",
    method: "POST",
    path: "/v1/services",
    init: { body: GOOD, headers: { "idempotency-key": "used" } },
    status: 422,
    type: "key-reused",
    fields: ["header.idempotency-key"],
  },
  {
    what: "a WebSocket route without an upgrade",
    method: "GET",
    path: "/v1/tasks/web.1/logs",
    status: 426,
    type: "upgrade-required",
  },
  {
    what: "a WebSocket route with half a handshake",
    method: "GET",
    path: "/v1/tasks/web.1/logs",
    init: { headers: { upgrade: "websocket", connection: "upgrade" } },
    status: 400,
    type: "malformed",
  },
];

async function prepare(t: TestApi): Promise<void> {
  await seedNode(t.kv, idOf(1), "n1");
  const made = await t.send("POST", "/v1/services", {
    body: { ...GOOD, name: "taken" },
    headers: { "idempotency-key": "used" },
  });
  assertEquals(made.status, 201);
}

async function problemFrom(response: Response): Promise<Problem> {
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  return Problem.parse(await response.json());
}

for (const { what, method, path, init, status, type, fields = [] } of CASES) {
  Deno.test(`a problem that says what to do, and no change, for ${what}`, () =>
    withApi(async (t) => {
      await prepare(t);
      const before = await dump(t.kv);
      const response = await t.send(method, path, init);
      const problem = await problemFrom(response);
      assertEquals([response.status, problem.status, problem.type], [
        status,
        status,
        `/problems/${type}`,
      ], JSON.stringify(problem));
      assertExists(problem.detail);
      assertExists(problem.hint);
      assertEquals(problem.instance, new URL(path, "http://x").pathname);
      const named = new Set(problem.errors?.map((error) => error.field));
      for (const field of fields) assert(named.has(field), `${field} is not in ${[...named]}`);
      assertEquals(await dump(t.kv), before);
      assertEquals(t.errors, []);
    }));
}

Deno.test("401 challenges, 405 names the methods, 426 names the protocol", () =>
  withApi(async (t) => {
    const none = await t.send("GET", "/v1/nodes", { token: null });
    assertEquals(none.headers.get("www-authenticate"), 'Bearer realm="berth"');
    const wrong = await t.send("GET", "/v1/nodes", { token: "x" });
    assertStringIncludes(wrong.headers.get("www-authenticate") ?? "", "invalid_token");
    const method = await t.send("PATCH", "/v1/services/web");
    assertEquals(method.headers.get("allow"), "DELETE, GET, HEAD, PUT");
    const upgrade = await t.send("GET", "/v1/tasks/web.1/exec");
    assertEquals(upgrade.headers.get("upgrade"), "websocket");
    for (const response of [none, wrong, method, upgrade]) await response.body?.cancel();
  }));

Deno.test("a body without a length is cut off at 1 MiB", () =>
  withApi(async (t) => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 64 * 1024;
        controller.enqueue(new Uint8Array(64 * 1024).fill(32));
      },
    });
    const response = await t.api.fetch(
      new Request("http://berth.test/v1/services", {
        method: "POST",
        headers: { authorization: `Bearer ${t.admin}`, "content-type": "application/json" },
        body,
      }),
    );
    assertEquals((await problemFrom(response)).status, 413);
    assert(sent < 2 * 1024 * 1024, `${sent} bytes were read`);
  }));

Deno.test("a body that is not UTF-8 is malformed", () =>
  withApi(async (t) => {
    const response = await t.api.fetch(
      new Request("http://berth.test/v1/services", {
        method: "POST",
        headers: { authorization: `Bearer ${t.admin}`, "content-type": "application/json" },
        body: new Uint8Array([0x22, 0xff, 0xfe, 0x22]),
      }),
    );
    assertEquals((await problemFrom(response)).type, "/problems/malformed");
  }));

/** A database whose reads start to fail when told to. */
function failing(message: () => string | undefined) {
  return (kv: Kv): Kv => ({
    ...bound(kv),
    get(...args: Parameters<Kv["get"]>) {
      const problem = message();
      return problem === undefined ? kv.get(...args) : Promise.reject(new Error(problem));
    },
  });
}

Deno.test("what goes wrong inside is told apart, logged with an id, and kept to ourselves", async () => {
  for (
    const [message, status, type] of [
      ["database or disk is full", 507, "disk-full"],
      ["database is locked", 503, "unavailable"],
      ["undefined is not a function (secret)", 500, "internal"],
    ] as const
  ) {
    let broken: string | undefined;
    await withApi(async (t) => {
      // Warms the token's cache.
      await (await t.send("GET", "/v1/services")).body?.cancel();
      broken = message;
      const response = await t.send("GET", "/v1/services/web");
      broken = undefined;
      const text = await response.text();
      assertEquals(response.status, status);
      assertEquals(Problem.parse(JSON.parse(text)).type, `/problems/${type}`);
      assert(!text.includes("secret"), text);
      assertEquals(t.errors[0]?.fields.error, message);
      assertMatch(String(t.errors[0]?.fields.id), /^[0-9a-z]{26}$/);
    }, { wrapKv: failing(() => broken) });
  }
});

Deno.test("not ready is said when the database does not answer, and alive all the same", async () => {
  let broken: string | undefined;
  await withApi(async (t) => {
    const ready = await t.send("GET", "/readyz", { token: null });
    assertEquals([ready.status, await ready.json()], [503, {
      status: "not-ready",
      database: true,
      leader: false,
    }]);
    broken = "database is locked";
    const locked = await t.send("GET", "/readyz", { token: null });
    assertEquals([locked.status, (await locked.json()).database], [503, false]);
    const alive = await t.send("GET", "/healthz", { token: null });
    assertEquals([alive.status, await alive.json()], [200, { status: "ok" }]);
    broken = undefined;
  }, { wrapKv: failing(() => broken), deps: { leader: () => ({ epoch: 0, self: false }) } });
});
