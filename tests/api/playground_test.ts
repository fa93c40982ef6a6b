import { assert, assertEquals, assertMatch } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { joinNode } from "../../kv/nodes.ts";
import { PLAYGROUND_LABEL, type PlaygroundSet } from "../../kv/schema/playground.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { factsOf } from "../support/seed.ts";

const ON = { deps: { playground: true } };

async function call(t: TestApi, method: string, path: string, body?: unknown) {
  const response = await t.send(method, path, body === undefined ? {} : { body });
  return { status: response.status, body: await response.json() };
}

/** A node as the host would have it join. */
async function join(
  t: TestApi,
  name: string,
  labels: Record<string, string> = { [PLAYGROUND_LABEL]: "true" },
) {
  let tokens = 0;
  const deps = {
    kv: t.kv,
    clock: systemClock,
    newId: t.newId,
    randomToken: () => `j-${++tokens}${name}`,
  };
  const joined = await joinNode(deps, { ...factsOf(name), labels });
  if (!joined.ok) throw new Error(JSON.stringify(joined));
  const { nodeId } = joined.value;
  const status = { state: "ready", since: "2030-01-01T00:00:00.000Z", why: "seen" };
  await t.kv.atomic().set(key.nodeStatus(nodeId), status).commit();
  return nodeId;
}

const seeded = async (t: TestApi, count: number) =>
  okValue(await t.client(t.join).seedPlayground({ count, cpus: 4, memoryMiB: 1024 }));

Deno.test("without a playground its routes are not there, nor in the document", () =>
  withApi(async (t) => {
    for (const [method, path] of [["POST", "/add_node"], ["GET", "/nodes"], ["POST", "/add_pod"]]) {
      assertEquals((await t.send(method ?? "", path ?? "")).status, 404, path);
    }
    assertEquals(problemOf(await t.client(t.join).playground({})).status, 404);
    const { paths } = await (await t.send("GET", "/openapi.json")).json();
    assertEquals(Object.keys(paths).filter((path) => /playground|_node|_pod/.test(path)), []);
  }));

Deno.test("the classroom calls ask for the admin token, and name the fields they refuse", () =>
  withApi(async (t) => {
    const calls = [["POST", "/add_node"], ["GET", "/nodes"], ["PUT", "/restart_node"]];
    for (const [method = "", path = ""] of [...calls, ["DELETE", "/delete_node"]]) {
      const body = method === "GET" ? {} : { body: { node: "n1" } };
      assertEquals((await t.send(method, path, { ...body, token: null })).status, 401, path);
      assertEquals((await t.send(method, path, { ...body, token: t.join })).status, 403, path);
    }
    const wrong = await call(t, "POST", "/add_pod", { cpus: -1 });
    assertEquals([wrong.status, wrong.body.errors[0].field], [400, "cpus"]);
    const unknown = await call(t, "POST", "/add_node", { cpu: 4 });
    assertEquals([unknown.status, unknown.body.errors[0].field], [400, "cpu"]);
  }, ON));

Deno.test("a host's nodes are made once: what was deleted stays so, and more is more", () =>
  withApi(async (t) => {
    const names = (set: PlaygroundSet) => set.nodes.map(({ name }) => name);
    const first = await seeded(t, 2);
    assertEquals(names(first), ["sim-1", "sim-2"]);
    assertEquals((await call(t, "DELETE", "/delete_node", { node: "sim-1" })).status, 200);
    const again = await seeded(t, 2);
    assertEquals(names(again), ["sim-2"]);
    assert(again.version > first.version);
    assertEquals(names(await seeded(t, 3)), ["sim-2", "sim-3"]);
    assertEquals(names(await seeded(t, 1)), ["sim-2", "sim-3"]);
  }, ON));

Deno.test("a held look at the set is answered when it changes, and when the server closes", () =>
  withApi(async (t) => {
    const { version } = await seeded(t, 1);
    const client = t.client(t.join);
    const held = client.playground({ since: version, holdMs: 20_000 });
    assertEquals((await call(t, "PUT", "/restart_node", { node: "sim-1" })).body, {
      restarted: "sim-1",
    });
    const changed = okValue(await held);
    assertEquals(changed.nodes.map(({ generation }) => generation), [2]);
    const short = okValue(await client.playground({ since: changed.version, holdMs: 20 }));
    assertEquals(short, changed);
    const last = client.playground({ since: changed.version, holdMs: 20_000 });
    await t.api.close();
    assertEquals(okValue(await last), changed);
  }, ON));

Deno.test("an added node is answered once it has joined, and waits without a host", () =>
  withApi(async (t) => {
    const adding = call(t, "POST", "/add_node", { cpus: 2 });
    await eventually(async () => (await call(t, "GET", "/nodes")).body[0]?.status === "waiting");
    const id = await join(t, "sim-1");
    const { status, body } = await adding;
    assertEquals([status, body.name, body.id, body.cpus, body.status], [
      201,
      "sim-1",
      id,
      2,
      "ready",
    ]);
  }, ON));

Deno.test("a deleted node leaves the cluster with its credential and its name", () =>
  withApi(async (t) => {
    await seeded(t, 1);
    const id = await join(t, "sim-1");
    assertEquals((await call(t, "DELETE", "/delete_node", { node: id })).body, {
      deleted: "sim-1",
    });
    assertEquals((await call(t, "GET", "/nodes")).body, []);
    assertEquals(problemOf(await t.client().getNode("sim-1")).status, 404);
    const rows: Deno.KvKey[] = [];
    for await (const entry of t.kv.list({ prefix: [] })) {
      if (JSON.stringify([entry.key, entry.value]).includes(id)) rows.push(entry.key);
    }
    assertEquals(rows.map(([kind]) => kind).filter((kind) => kind !== "queue"), []);
    await join(t, "sim-1");
  }, ON));

Deno.test("nodes that are not simulated are left alone, and absent ones are not found", () =>
  withApi(async (t) => {
    await join(t, "real", {});
    for (const [method, path] of [["PUT", "/restart_node"], ["DELETE", "/delete_node"]] as const) {
      const real = await call(t, method, path, { node: "real" });
      assertEquals(real.status, 409);
      assertMatch(real.body.detail, /node real is not simulated/);
      assertEquals((await call(t, method, path, { node: "nosuch" })).status, 404);
    }
    assertEquals((await call(t, "GET", "/nodes")).body.length, 1);
  }, ON));
