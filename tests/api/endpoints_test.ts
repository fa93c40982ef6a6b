import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import type { EndpointsResponse } from "../../kv/schema/endpoint.ts";
import type { Port } from "../../kv/schema/port.ts";
import type { Task } from "../../kv/schema/task.ts";
import type { Kv } from "../../kv/store.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import { AT, commitLogged, seedNode, seedObserved, seedTask, seen } from "../support/seed.ts";

const NODE = idOf(1);
const OTHER = idOf(2);

async function prepare(t: TestApi) {
  const credential = await seedNode(t.kv, NODE, "n1");
  await seedNode(t.kv, OTHER, "n2");
  const client = t.client(credential);
  return async (query: { since?: number; holdMs?: number } = {}) =>
    okValue(await client.pollEndpoints(NODE, query));
}

type PortInput = Partial<Port> & { target: number };

async function serve(t: TestApi, name: string, ports: PortInput[] = []): Promise<string> {
  const spec = { name, template: { image: "nginx:1.27", ports } };
  const { id } = okValue(await t.client().createService(spec));
  await told(t.kv, id);
  return id;
}

/** What the leader says of a service that a user changed. */
const told = (kv: Kv, serviceId: string) =>
  commitLogged(kv, kv.atomic(), [{ type: "service.changed", serviceId }]);

async function run(
  t: TestApi,
  task: Pick<Task, "id" | "serviceId"> & Partial<Task>,
  port = 32768,
  target = 80,
): Promise<void> {
  await seedTask(t.kv, { nodeId: NODE, ...task });
  await seedObserved(
    t.kv,
    seen(task.id, { ports: [{ target, published: port, protocol: "tcp", hostIp: "0.0.0.0" }] }),
  );
  await changed(t.kv, task.id, task.serviceId);
}

const changed = (kv: Kv, taskId: string, serviceId: string) =>
  commitLogged(kv, kv.atomic(), [{ type: "task.state", state: "running", taskId, serviceId }]);

const states = (answer: EndpointsResponse) =>
  answer.services.flatMap((s) => s.endpoints.map((e) => e.state));

const caughtUp = (t: TestApi, seq: number) => eventually(() => t.feed.head() >= seq);

Deno.test("the first poll tells everything: ports with their settings, tasks with their addresses", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [
      { target: 80, published: 8080, hostIp: "127.0.0.1", balance: { policy: "client-hash" } },
      { target: 9000 },
    ]);
    await run(t, { id: idOf(11), serviceId: web }, 32768);
    await run(t, { id: idOf(12), serviceId: web, slot: 2, nodeId: OTHER }, 32769);
    const answer = await poll();
    assert(answer.full);
    const [service] = answer.services;
    assertEquals([service?.project, service?.name], ["default", "web"]);
    assertEquals(service?.ports.map((p) => [p.target, p.published, p.hostIp, p.balancing.policy]), [
      [80, 8080, "127.0.0.1", "client-hash"],
      [9000, undefined, undefined, "least-connections"],
    ]);
    assertEquals(service?.endpoints.map((e) => [e.taskId, e.nodeId, e.address, e.state]), [
      [idOf(11), NODE, "10.0.0.1", "ready"],
      [idOf(12), OTHER, "10.0.0.1", "ready"],
    ]);
    assertEquals(service?.endpoints[0]?.ports, [{ target: 80, protocol: "tcp", port: 32768 }]);
  }));

Deno.test("a held poll is answered with the services that changed, and with no others", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    const api = await serve(t, "api", [{ target: 80 }]);
    await run(t, { id: idOf(11), serviceId: web });
    const seq = await changed(t.kv, idOf(11), web);
    await caughtUp(t, seq);
    const { version } = await poll();
    const held = poll({ since: version, holdMs: 10_000 });
    await run(t, { id: idOf(12), serviceId: api });
    const answer = await held;
    assertEquals([answer.full, answer.services.map((s) => s.name)], [false, ["api"]]);
    assert(answer.version > version);
  }));

Deno.test("what clients cannot see of a change answers no poll", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    await run(t, { id: idOf(11), serviceId: web });
    const { version } = await poll();
    let answered = false;
    const held = poll({ since: version, holdMs: 10_000 }).finally(() => answered = true);
    await changed(t.kv, idOf(11), web);
    const seq = await commitLogged(t.kv, t.kv.atomic(), [{ type: "node.ready", nodeId: NODE }]);
    await caughtUp(t, seq);
    await t.send("GET", "/v1/endpoints"); // The table has the record in it when this is answered.
    assertEquals(answered, false);
    await told(t.kv, web);
    await run(t, { id: idOf(12), serviceId: web, slot: 2 });
    assertEquals((await held).services.length, 1);
  }));

Deno.test("the state of an endpoint follows what the leader wants, what is observed, and its node", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    const task = { id: idOf(11), serviceId: web };
    let version = 0;
    const after = async (change: () => Promise<number>) => {
      await caughtUp(t, await change());
      const answer = await poll({ since: version, holdMs: 0 });
      version = answer.version;
      return states(answer);
    };
    const observe = async (more: Parameters<typeof seen>[1]) => {
      await seedObserved(t.kv, seen(task.id, more));
      return await changed(t.kv, task.id, web);
    };
    const assign = async (more: Partial<Task>) => {
      await seedTask(t.kv, { ...task, nodeId: NODE, ...more });
      return t.feed.head() + 1;
    };
    const status = async (state: "ready" | "down") => {
      const op = t.kv.atomic().set(key.nodeStatus(NODE), { state, since: AT, why: "" });
      return await commitLogged(t.kv, op, [{ type: `node.${state}`, nodeId: NODE }]);
    };
    assertEquals(await after(() => assign({})), ["starting"]);
    assertEquals(await after(() => observe({ state: "running", health: "starting" })), []);
    assertEquals(await after(() => observe({ state: "running", health: "healthy" })), ["ready"]);
    assertEquals(await after(() => observe({ state: "running", ready: false })), ["starting"]);
    assertEquals(await after(() => observe({ state: "running", ready: true })), ["ready"]);
    assertEquals(await after(() => status("down")), ["unreachable"]);
    assertEquals(await after(() => status("ready")), ["ready"]);
    assertEquals(await after(() => assign({ disconnected: true })), ["unreachable"]);
    assertEquals(await after(() => assign({ desired: "stop" })), ["draining"]);
    const gone = await after(() => observe({ state: "stopped" }));
    assertEquals(gone, []);
  }));

Deno.test("tasks of two revisions serve one published port, each on the target that it has for it", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [{ target: 80, published: 8080 }]);
    await run(t, { id: idOf(11), serviceId: web }, 32768, 80);
    const spec = {
      name: "web",
      template: { image: "nginx:1.28", ports: [{ target: 81, published: 8080 }] },
    };
    okValue(await t.client().putService("web", spec));
    await told(t.kv, web);
    await run(t, { id: idOf(12), serviceId: web, slot: 2, revision: 2 }, 32769, 81);
    const [service] = (await poll()).services;
    assertEquals(service?.ports.map((p) => [p.target, p.published]), [[81, 8080]]);
    assertEquals(service?.endpoints.map((e) => e.ports), [
      [{ target: 81, protocol: "tcp", port: 32768 }],
      [{ target: 81, protocol: "tcp", port: 32769 }],
    ]);
  }));

Deno.test("of blue/green one set gets connections at a time, and who held a poll hears of the turn", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const template = { image: "nginx:1.27" };
    const update = { strategy: "bluegreen" as const };
    const { id: serviceId } = okValue(
      await t.client().createService({ name: "web", template, update }),
    );
    await told(t.kv, serviceId);
    await run(t, { id: idOf(11), serviceId });
    okValue(await t.client().putService("web", { name: "web", template: { image: "b" }, update }));
    const turn = async (
      row: { state: "progressing" | "waiting-promote" | "done"; promoted: boolean; stable: number },
      type: "rollout.started" | "rollout.waiting" | "rollout.promoted" | "rollout.finished",
    ) => {
      const rollout = { revision: 2, back: false, at: AT, ...row };
      const op = t.kv.atomic().set(key.rollout(serviceId), rollout);
      await caughtUp(t, await commitLogged(t.kv, op, [{ type, serviceId }]));
      return states(await poll());
    };
    const first = { promoted: false, stable: 1 };
    assertEquals(await turn({ ...first, state: "progressing" }, "rollout.started"), ["ready"]);
    await run(t, { id: idOf(12), serviceId, revision: 2 }, 32769);
    await caughtUp(t, await changed(t.kv, idOf(12), serviceId));
    assertEquals(states(await poll()), ["ready", "starting"]);
    const { version } = await poll();
    const held = poll({ since: version, holdMs: 20_000 });
    const promoted = { ...first, promoted: true, state: "progressing" as const };
    assertEquals(await turn(promoted, "rollout.promoted"), ["draining", "ready"]);
    assertEquals(states(await held), ["draining", "ready"]);
    const done = { ...promoted, stable: 2, state: "done" as const };
    assertEquals(await turn(done, "rollout.finished"), ["ready", "ready"]);
  }));

Deno.test("the second set of blue/green serves before its turn where nobody else can", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const spec = { name: "web", template: { image: "nginx:1.27" } };
    const update = { strategy: "bluegreen" as const };
    const { id: serviceId } = okValue(await t.client().createService({ ...spec, update }));
    await seedTask(t.kv, { id: idOf(11), nodeId: NODE, serviceId }); // not seen yet
    await run(t, { id: idOf(12), serviceId, revision: 2 }, 32769);
    const rollout = { revision: 2, stable: 1, back: false, promoted: false, at: AT };
    const op = t.kv.atomic().set(key.rollout(serviceId), { ...rollout, state: "progressing" });
    await commitLogged(t.kv, op, [{ type: "rollout.started", serviceId }]);
    assertEquals(states(await poll()).at(-1), "ready");
  }));

Deno.test("a service that is gone is told as removed; jobs and cron services are not told", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    const job = await t.client().createService({
      name: "once",
      mode: { type: "job" },
      template: { image: "a" },
    });
    const jobId = okValue(job).id;
    await seedTask(t.kv, { id: idOf(21), serviceId: jobId, nodeId: NODE });
    const first = await poll();
    assertEquals(first.services.map((s) => s.name), ["web"]);
    const op = t.kv.atomic().delete(key.service(web));
    await caughtUp(t, await commitLogged(t.kv, op, [{ type: "service.removed", serviceId: web }]));
    await changed(t.kv, idOf(21), jobId);
    const answer = await poll({ since: first.version, holdMs: 0 });
    assertEquals([answer.full, answer.services, answer.removed], [false, [], [web]]);
    const refused = problemOf(await t.client().getEndpoints("once"));
    assertEquals(refused.status, 404);
    assertStringIncludes(refused.detail ?? "", "job");
  }));

Deno.test("a replica that has just started tells only what changed since, as far as the log goes back", () =>
  withApi(async (t) => {
    await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    await serve(t, "api", [{ target: 80 }]);
    await caughtUp(t, 2);
    const before = t.feed.head();
    await run(t, { id: idOf(11), serviceId: web });
    await caughtUp(t, await changed(t.kv, idOf(11), web));
    // Nothing was asked for until now: this loads the table.
    const poll = async (since: number) =>
      okValue(await t.client("berth_node_n1").pollEndpoints(NODE, { since, holdMs: 0 }));
    const answer = await poll(before);
    assertEquals([answer.full, answer.services.map((s) => s.name)], [false, ["web"]]);
    assertEquals((await poll(answer.version)).services, []);
    assertEquals((await poll(answer.version + 1000)).full, true);
  }));

Deno.test("a large answer is compressed once, and only for those who can read it", () =>
  withApi(async (t) => {
    await prepare(t);
    const web = await serve(t, "web", [{ target: 80 }]);
    for (let n = 0; n < 200; n++) await run(t, { id: idOf(100 + n), serviceId: web, slot: n + 1 });
    const ask = (headers: Record<string, string>) =>
      t.send("GET", `/v1/nodes/${NODE}/endpoints`, { token: "berth_node_n1", headers });
    const plain = await ask({});
    assertEquals(plain.headers.get("content-encoding"), null);
    const text = await plain.text();
    const packed = await ask({ "accept-encoding": "br, gzip" });
    assertEquals(packed.headers.get("content-encoding"), "gzip");
    assertStringIncludes(packed.headers.get("cache-control") ?? "", "no-transform");
    const stream = packed.body?.pipeThrough(new DecompressionStream("gzip"));
    assertEquals(await new Response(stream).text(), text);
  }));

Deno.test("endpoints are listed by project and name, page by page", () =>
  withApi(async (t) => {
    await prepare(t);
    for (const name of ["web", "api", "db"]) await serve(t, name, [{ target: 80 }]);
    await caughtUp(t, 3);
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: 2, ...(cursor === undefined ? {} : { cursor }) };
      const page = okValue(await t.client().listEndpoints(query));
      names.push(...page.items.map((s) => s.name));
      cursor = page.next;
    } while (cursor !== undefined);
    assertEquals(names, ["api", "db", "web"]);
    const one = okValue(await t.client().getEndpoints("web"));
    assertEquals(one.name, "web");
  }));

Deno.test("a service's further names are told with it", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const spec = { name: "db", aliases: ["store", "data"], template: { image: "postgres:17" } };
    const { id } = okValue(await t.client().createService(spec));
    await told(t.kv, id);
    const { services } = await poll();
    assertEquals(services.map(({ name, aliases }) => [name, aliases]), [["db", ["store", "data"]]]);
  }));
