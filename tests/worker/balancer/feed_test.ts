import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Result } from "../../../api/client.ts";
import type { EndpointsResponse } from "../../../kv/schema/endpoint.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import { createTableStore, followEndpoints } from "../../../worker/balancer/feed.ts";
import type { Table } from "../../../worker/balancer/table.ts";
import { eventually } from "../../support/eventually.ts";
import { idOf } from "../../support/ids.ts";
import { serviceOf } from "../../support/traffic.ts";

const NODE = idOf(9);

/** A server that answers with what it is given, and holds polls when it has nothing. */
function scripted() {
  const answers: (EndpointsResponse | "away")[] = [];
  const asked: (number | undefined)[] = [];
  return {
    answers,
    asked,
    async pollEndpoints(
      _nodeId: string,
      { since }: { since?: number; holdMs?: number },
      { signal }: { signal?: AbortSignal } = {},
    ): Promise<Result<EndpointsResponse>> {
      asked.push(since);
      await eventually(() => answers.length > 0 || signal?.aborted, { timeoutMs: 60_000 });
      const answer = answers.shift() ?? "away";
      return answer === "away"
        ? { ok: false, error: { kind: "unreachable", message: "nobody is there" } }
        : { ok: true, value: answer };
    },
  };
}

interface Scene {
  server: ReturnType<typeof scripted>;
  tables: Table[];
  log: string[];
  dir: string;
}

async function withFeed(
  run: (scene: Scene) => Promise<void>,
  { dir, nodeId = NODE }: { dir?: string; nodeId?: string } = {},
): Promise<void> {
  const made = dir ?? await Deno.makeTempDir();
  const scene: Scene = { server: scripted(), tables: [], log: [], dir: made };
  const stop = new AbortController();
  const following = followEndpoints(
    {
      client: scene.server,
      nodeId,
      clock: systemClock,
      random: () => 0.5,
      log: (_level, message, fields) => void scene.log.push(`${message}: ${fields?.reason}`),
      store: createTableStore(made),
    },
    (table) => scene.tables.push(table),
    stop.signal,
  );
  try {
    await run(scene);
  } finally {
    stop.abort();
    await following;
    if (dir === undefined) await Deno.remove(made, { recursive: true });
  }
}

const full = (version: number, ...services: number[]): EndpointsResponse => ({
  version,
  full: true,
  services: services.map((service) => serviceOf({ service, published: 8000, places: [] })),
  removed: [],
});
const saved = (dir: string) =>
  eventually(() => Deno.readTextFile(`${dir}/endpoints.json`).catch(() => undefined));

Deno.test("each poll names the version that is known, and only changes are handed on", () =>
  withFeed(async ({ server, tables }) => {
    server.answers.push(full(5, 1), { version: 6, full: false, services: [], removed: [] });
    server.answers.push({ version: 7, full: false, services: [], removed: [idOf(1)] });
    await eventually(() => server.asked.length === 4);
    assertEquals(server.asked, [undefined, 5, 6, 7]);
    assertEquals(tables.map((table) => [table.version, table.services.size]), [[5, 1], [7, 0]]);
  }));

Deno.test("while the server is away the table stays, and the log says so once", () =>
  withFeed(async ({ server, tables, log }) => {
    server.answers.push(full(5, 1), "away", "away", full(8, 1, 2));
    await eventually(() => tables.length === 2);
    assertEquals(log.length, 1);
    assertStringIncludes(log[0] ?? "", "nobody is there");
    assertEquals(server.asked.slice(0, 4), [undefined, 5, 5, 5]);
  }));

Deno.test("an agent that starts while the server is away works with the last table of its life before", async () => {
  const dir = await Deno.makeTempDir();
  await withFeed(async ({ server, tables }) => {
    server.answers.push(full(5, 1, 2));
    await eventually(() => tables.length === 1);
    await saved(dir);
    assertEquals((await Deno.stat(`${dir}/endpoints.json`)).mode! & 0o777, 0o600);
  }, { dir });
  await withFeed(async ({ server, tables }) => {
    server.answers.push("away");
    await eventually(() => tables.length === 1);
    assertEquals([tables[0]?.version, tables[0]?.services.size], [5, 2]);
    await eventually(() => server.asked.length === 2);
    assertEquals(server.asked, [5, 5]);
  }, { dir });
  await withFeed(async ({ server, tables }) => {
    await eventually(() => server.asked.length === 1);
    assertEquals([server.asked[0], tables.length], [undefined, 0]);
  }, { dir, nodeId: idOf(10) });
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the last table is saved when the agent ends, and a damaged file is told and not used", async () => {
  const dir = await Deno.makeTempDir();
  await withFeed(async ({ server, tables }) => {
    server.answers.push(full(5, 1), full(6, 1, 2));
    await eventually(() => tables.length === 2);
  }, { dir });
  assertEquals(JSON.parse(await saved(dir)).version, 6);
  await Deno.writeTextFile(`${dir}/endpoints.json`, '{"format":1');
  await withFeed(async ({ server, tables, log }) => {
    await eventually(() => server.asked.length === 1);
    assertEquals(tables, []);
    assert(log.some((line) => line.includes("damaged")));
  }, { dir });
  await Deno.remove(dir, { recursive: true });
});
