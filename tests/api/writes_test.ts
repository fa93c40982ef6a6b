import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { NodeSpec } from "../../kv/schema/node.ts";
import { okValue, problemOf, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { dump } from "../support/kv.ts";
import { factsOf, seedNode, specOf } from "../support/seed.ts";

const BODY = { name: "web", template: { image: "nginx:1.27" } };

Deno.test("a repeated request answers the same object with its first status, and says so", () =>
  withApi(async (t) => {
    const send = () =>
      t.send("POST", "/v1/services", { body: BODY, headers: { "idempotency-key": "k1" } });
    const first = await send();
    const before = await dump(t.kv);
    const second = await send();
    assertEquals([first.status, second.status], [201, 201]);
    assertEquals(first.headers.get("idempotent-replay"), null);
    assertEquals(second.headers.get("idempotent-replay"), "true");
    assertEquals((await first.json()).id, (await second.json()).id);
    assertEquals(await dump(t.kv), before);
  }));

Deno.test("one key is another key for another token, path or body", () =>
  withApi(async (t) => {
    const headers = { "idempotency-key": "k1" };
    const made = await t.send("POST", "/v1/services", { body: BODY, headers });
    assertEquals(made.status, 201);
    await made.body?.cancel();
    for (
      const [method, path, body] of [
        ["POST", "/v1/services", { ...BODY, name: "other" }],
        ["PUT", "/v1/services/web", BODY],
        ["DELETE", "/v1/services/web?project=default", undefined],
      ] as const
    ) {
      const reused = await t.send(method, path, { headers, ...(body ? { body } : {}) });
      assertEquals(reused.status, 422, `${method} ${path}`);
      await reused.body?.cancel();
    }
  }));

Deno.test("the entity tag of an answer is what If-Match takes, quoted or bare", () =>
  withApi(async (t) => {
    const made = await t.send("POST", "/v1/services", { body: BODY });
    const tag = made.headers.get("etag") ?? "";
    assertEquals(tag, `"${(await made.json()).version}"`);
    const put = (ifMatch: string, replicas: number) =>
      t.send("PUT", "/v1/services/web", {
        body: { ...BODY, mode: { type: "replicated", replicas } },
        headers: { "if-match": ifMatch },
      });
    const quoted = await put(tag, 2);
    assertEquals(quoted.status, 200);
    const { version } = await quoted.json();
    assertNotEquals(tag, `"${version}"`);
    const stale = await put(tag, 3);
    assertEquals(stale.status, 412);
    await stale.body?.cancel();
    const bare = await put(version, 3);
    assertEquals(bare.status, 200);
    await bare.body?.cancel();
    const any = await put("*", 4);
    assertEquals((await any.json()).mode.replicas, 4);
    const read = await t.send("GET", "/v1/services/web");
    assertEquals(read.headers.get("etag"), any.headers.get("etag"));
    await read.body?.cancel();
  }));

Deno.test("the typed client understands every answer of the API", () =>
  withApi(async (t) => {
    const admin = t.client();
    const made = okValue(await admin.createService(specOf()));
    assertEquals(okValue(await admin.getService("web")).id, made.id);
    assertEquals(okValue(await admin.putService("web", specOf({ stopped: true }))).stopped, true);
    assertEquals(okValue(await admin.listServices({ limit: 1 })).items.length, 1);
    assertEquals(okValue(await admin.listTasks()).items, []);
    assertEquals(okValue(await admin.cluster()).leader, { epoch: 1, self: true });
    assertEquals(okValue(await admin.listEvents()).items, []);
    const { token, command } = okValue(await admin.createJoinToken());
    assert(command.includes(token), command);
    const joined = okValue(await t.client(token).join(factsOf("n1")));
    const node = t.client(joined.credential);
    assertEquals(await node.putFacts(joined.nodeId, factsOf("n1")), {
      ok: true,
      value: undefined,
    });
    assertEquals(okValue(await node.report(joined.nodeId, { tasks: [] })).unknown, []);
    assertEquals(okValue(await node.poll(joined.nodeId, {})).assignments, []);
    const spec = NodeSpec.parse({ availability: "drain" });
    assertEquals(okValue(await admin.putNodeSpec("n1", spec)).spec, spec);
    assertEquals(okValue(await admin.getNode("n1")).id, joined.nodeId);
    assertEquals(okValue(await admin.listNodes()).items.length, 1);
    assertEquals(problemOf(await admin.why("web.1")).status, 404);
    assertEquals(okValue(await admin.deleteService("web")).phase, "removing");
  }));

Deno.test("a parked message is listed, retried once, and then gone", () =>
  withApi(async (t) => {
    const message = { messageId: idOf(5), kind: "service", id: idOf(6), tries: 5, error: "boom" };
    await t.kv.atomic().set(["failed", idOf(5)], { ...message, parked: true }).commit();
    const list = await t.send("GET", "/v1/queue/parked");
    assertEquals(await list.json(), { items: [message] });
    const retry = () => t.send("POST", `/v1/queue/parked/${idOf(5)}/retry`);
    assertEquals((await retry()).status, 204);
    const again = await retry();
    assertEquals(again.status, 404);
    await again.body?.cancel();
  }));

Deno.test("metrics count requests by route, and nodes and tasks by state", () =>
  withApi(async (t) => {
    await seedNode(t.kv, idOf(1), "n1");
    for (const name of ["a", "b"]) {
      await (await t.send("GET", `/v1/services/${name}`)).body?.cancel();
    }
    const text = await (await t.send("GET", "/metrics")).text();
    const wanted = [
      'berth_http_request_seconds_count{method="GET",route="/v1/services/{ref}",status="404"} 2',
      'berth_nodes{state="joining"} 1',
      "berth_leader_epoch 1",
      "berth_queue_depth 0",
      "berth_log_head 0",
    ];
    for (const line of wanted) assert(text.includes(line), `${line} is not in\n${text}`);
  }));

Deno.test("the documentation page loads nothing from outside", () =>
  withApi(async (t) => {
    const page = await t.send("GET", "/docs", { token: null });
    const policy = page.headers.get("content-security-policy") ?? "";
    assert(policy.startsWith("default-src 'self'"), policy);
    assert(!/https?:/.test(policy), policy);
    const html = await page.text();
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = ""]) => link);
    assert(links.length >= 3);
    for (const link of links) {
      assert(link.startsWith("/docs/"), link);
      const asset = await t.send("GET", link, { token: null });
      assertEquals(asset.status, 200, link);
      assert((await asset.text()).length > 50, link);
    }
    const root = await t.send("GET", "/", { token: null });
    assertEquals([root.status, root.headers.get("location")], [302, "/docs"]);
    await root.body?.cancel();
  }));
