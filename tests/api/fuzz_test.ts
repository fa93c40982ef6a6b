import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Problem } from "../../kv/schema/common.ts";
import { type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { dump } from "../support/kv.ts";
import {
  type JsonSchema,
  type Resolve,
  resolver,
  spoiltOf,
  validOf,
} from "../support/schema_arbitrary.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";

interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  schema?: JsonSchema;
}
interface Operation {
  operationId: string;
  security: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, unknown>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonSchema> };
}

interface Target {
  method: string;
  path: string;
  operation: Operation;
  resolve: Resolve;
}

/** One request, and what is known to be wrong with it. */
interface Shot {
  path: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string>;
  body?: string;
  /** The field that the problem has to name. */
  wrong?: string;
}

const NODE = idOf(1);
const RUNS = 80;
/** Requests of these seeds once held the server for minutes; every run adds one seed of its own. */
const REGRESSIONS = [3, 5];
const SEED = Number(Deno.env.get("BERTH_FUZZ_SEED") ?? Date.now() % 2 ** 31);

/** Names that exist, so that requests get past the first look-up. */
const KNOWN: Record<string, string[]> = {
  ref: ["web", "n1", "web.1", idOf(1), idOf(2), idOf(11)],
  service: ["web", idOf(2)],
  node: ["n1"],
  project: ["default"],
};

const JUNK = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(
    "",
    "..",
    "%",
    "-1",
    "1e99",
    "NaN",
    "null",
    "0x10",
    "__proto__",
    "a".repeat(3000),
  ),
);

async function prepare(t: TestApi): Promise<string> {
  const credential = await seedNode(t.kv, NODE, "n1");
  await seedService(t.kv, idOf(2), specOf());
  await seedTask(t.kv, { id: idOf(11), serviceId: idOf(2), nodeId: NODE });
  await seedObserved(t.kv, seen(idOf(11)));
  return credential;
}

function targets(t: TestApi): Target[] {
  const document = t.api.openapi() as Document;
  const resolve = resolver(document.components.schemas);
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation, resolve }))
  );
}

/** A parameter's text: known to exist, valid, or (if `junk`) anything. */
function textOf(parameter: Parameter, target: Target, junk: boolean): fc.Arbitrary<string> {
  const valid = validOf(parameter.schema ?? {}, target.resolve).map(String);
  const known = KNOWN[parameter.name];
  const good = known ? fc.oneof(fc.constantFrom(...known), valid) : valid;
  return junk ? fc.oneof(good, JUNK) : good;
}

function textsOf(target: Target, place: Parameter["in"], junk: boolean) {
  const parameters = (target.operation.parameters ?? []).filter((p) => p.in === place);
  const texts = parameters.map((p) => [p.name, textOf(p, target, junk)] as const);
  const requiredKeys = place === "path" ? parameters.map((p) => p.name) : [];
  return fc.record(Object.fromEntries(texts), { requiredKeys });
}

function bodySchema(target: Target): JsonSchema | undefined {
  return target.operation.requestBody?.content["application/json"]?.schema;
}

/** Headers hold no control characters or text beyond Latin-1: no client could send those. */
function sendable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([n, text]) => [n, text.replaceAll(/[^\x20-\xff]|\x7f/g, "?")]),
  );
}

function shotOf(target: Target): fc.Arbitrary<Shot> {
  const schema = bodySchema(target);
  const shot = (junk: boolean, body: fc.Arbitrary<{ body?: string; wrong?: string }>) =>
    fc.record({
      path: textsOf(target, "path", junk),
      query: textsOf(target, "query", junk),
      headers: textsOf(target, "header", junk).map(sendable),
      rest: body,
    }).map(({ rest, ...params }): Shot => ({ ...params, ...rest }));
  if (!schema) {
    return fc.oneof(shot(false, fc.constant({})), shot(true, fc.constant({})));
  }
  const valid = validOf(schema, target.resolve).map((value) => ({ body: JSON.stringify(value) }));
  const spoilt = spoiltOf(schema, target.resolve)
    .map(({ value, field }) => ({ body: JSON.stringify(value), wrong: field }));
  const anything = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constantFrom("[".repeat(100_000), '{"__proto__":{"a":1}}', '{"name":"\\ud800"}'),
  ).map((body) => ({ body }));
  return fc.oneof(
    shot(false, valid),
    shot(false, spoilt),
    shot(true, valid),
    shot(false, anything),
  );
}

async function fire(t: TestApi, target: Target, shot: Shot, token: string | null) {
  const ownNode = target.path.startsWith("/v1/nodes/{id}");
  const path = target.path.replaceAll(
    /\{(\w+)\}/g,
    (_, name: string) =>
      ownNode && name === "id" ? NODE : encodeURIComponent(shot.path[name] ?? ""),
  );
  const query = new URLSearchParams(shot.query);
  return await t.send(target.method.toUpperCase(), `${path}?${query}`, {
    token,
    headers: shot.headers,
    ...(shot.body === undefined ? {} : { body: shot.body }),
  });
}

async function judge(t: TestApi, target: Target, shot: Shot, token: string | null): Promise<void> {
  const before = await dump(t.kv);
  const response = await fire(t, target, shot, token);
  const what = `${target.operation.operationId} → ${response.status}`;
  if (response.headers.get("content-type") === "text/event-stream") {
    await response.body?.cancel();
    assertEquals(response.status, 200);
    return;
  }
  const text = await response.text();
  assert(response.status < 500, `${what}: ${text}\n${JSON.stringify(t.errors)}`);
  if (response.status < 400) {
    assert(shot.wrong === undefined, `${what}, although ${shot.wrong} is wrong: ${text}`);
    if (target.method === "get") assertEquals(await dump(t.kv), before, what);
    return;
  }
  assertEquals(response.headers.get("content-type"), "application/problem+json", what);
  const problem = Problem.parse(JSON.parse(text));
  // `..` and nothing are no segments: such a request is for another route.
  const asked = new URL(problem.instance ?? "", "http://x").pathname.split("/");
  const routed = asked.length === target.path.split("/").length && !asked.includes("", 1);
  assert(!routed || `${response.status}` in target.operation.responses, `${what} is undocumented`);
  assertEquals(await dump(t.kv), before, `${what} changed the database`);
  if (problem.type !== "/problems/invalid") return;
  const fields = (problem.errors ?? []).map((error) => error.field);
  assert(fields.length > 0 && fields.every((field) => field !== ""), `${what} names no field`);
  const { wrong } = shot;
  const paramsAreFine = fields.every((field) => !/^(path|query|header)\./.test(field));
  if (wrong === undefined || !paramsAreFine) return;
  assert(fields.includes(wrong), `${what}: ${wrong} is not among ${fields.join(", ")}`);
}

async function shoot(seed: number, only?: readonly string[]): Promise<number> {
  let operations = 0;
  await withApi(async (t) => {
    for (const target of targets(t)) {
      if (only && !only.includes(target.operation.operationId)) continue;
      operations++;
      await withApi(async (fresh) => {
        const credential = await prepare(fresh);
        const kind = target.operation.security[0]?.bearer?.[0];
        const token = kind === "node" ? credential : kind === undefined ? null : fresh.admin;
        await fc.assert(
          fc.asyncProperty(shotOf(target), (shot) => judge(fresh, target, shot, token)),
          { numRuns: RUNS, seed },
        );
        assertEquals(fresh.errors, []);
      }, { deps: { nodeTtlMs: 3 } });
    }
  });
  return operations;
}

Deno.test(`no request, however wrong, gets a 5xx, an unnamed field or a half-written state (BERTH_FUZZ_SEED=${SEED})`, async () => {
  assert(await shoot(SEED) > 20);
});

Deno.test("forecasts that once took minutes are answered", async () => {
  const forecasts = ["planServices", "simulate"];
  for (const seed of REGRESSIONS) assertEquals(await shoot(seed, forecasts), forecasts.length);
});
