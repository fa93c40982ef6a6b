import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Forecast } from "../../kv/schema/forecast.ts";
import { widthOf } from "../../cli/format/style.ts";
import { berth, type Handler, ID, problem, serviceView, taskView } from "./support.ts";

const FILES = { "shop.yaml": "name: web\ntemplate: {image: nginx}\n" };

const load = (tasks: number, cpus: number, state: "ready" | "down" = "ready") => ({
  state,
  availability: "active" as const,
  tasks,
  free: { cpus, memoryMiB: 512 },
});

const TOLD: Forecast = {
  changes: [
    {
      kind: "moved",
      name: "web.1",
      service: "web",
      project: "default",
      slot: 1,
      from: "n1",
      to: "n2",
      why: "node n1 is down",
    },
    {
      kind: "unplaceable",
      name: "db.1",
      service: "db",
      project: "shop",
      slot: 1,
      why: "0 of 2 nodes fit",
      already: true,
    },
  ],
  counts: { new: 0, placed: 0, moved: 1, replaced: 0, stopped: 0, unplaceable: 1 },
  services: [
    {
      id: ID.service,
      name: "web",
      project: "default",
      result: "changed",
      revision: 2,
      fitsBefore: 1000,
      fitsAfter: 4,
    },
  ],
  nodes: [
    { node: "n1", before: load(1, 3), after: load(0, 4, "down") },
    { node: "n2", before: load(2, 1), after: load(2, 1) },
  ],
  settled: true,
};

/** Answers forecasts, and keeps what was asked. */
function forecaster(asked: unknown[], told: Forecast = TOLD): Handler {
  return async (request) => {
    const path = new URL(request.url).pathname;
    if (path !== "/v1/plan" && path !== "/v1/simulate") {
      return Response.json(problem(404), { status: 404 });
    }
    asked.push([path, await request.json()]);
    return Response.json(told);
  };
}

Deno.test("plan lists the tasks, the services and the sum, and ends with 7 if some find no place", async () => {
  const asked: [string, { specs: { name: string }[] }][] = [];
  const { code, out } = await berth(["plan", "shop.yaml"], {
    handler: forecaster(asked),
    files: FILES,
  });
  assertEquals(code, 7);
  assertMatch(out, /^CHANGE +TASK +FROM +TO +WHY\nmoved +web\.1 +n1 +n2 +node n1 is down\n/);
  assertStringIncludes(out, "unplaceable  shop/db.1  -     -   waits already: 0 of 2 nodes fit");
  assertMatch(out, /web +changed +2 +1000\+ → 4/);
  assertStringIncludes(out, "1 moved, 1 unplaceable. Nothing was written.\n");
  assertEquals(asked.map(([path, { specs }]) => [path, specs[0]?.name]), [["/v1/plan", "web"]]);
});

Deno.test("a forecast without changes says so and ends with 0", async () => {
  const counts = { ...TOLD.counts, moved: 0, unplaceable: 0 };
  const told = { ...TOLD, changes: [], counts };
  const { code, out } = await berth(["simulate"], { handler: forecaster([], told) });
  assertEquals(code, 0);
  assertStringIncludes(out, "No task would change. Nothing was written.\n");
});

Deno.test("simulate sends what is supposed, all at once", async () => {
  const asked: unknown[] = [];
  const flags = ["--fail", "n1,n2", "--fail", "n3", "--drain", "n4", "--add", "3", "--cpus", "8"];
  const more = ["--memory", "2g", "--label", "zone=a", "--scale", "web=10", "--scale", "shop/db=2"];
  await berth(["simulate", ...flags, ...more, "--service", "shop.yaml"], {
    handler: forecaster(asked),
    files: FILES,
  });
  const [path, body] = asked[0] as [string, Record<string, unknown>];
  assertEquals(path, "/v1/simulate");
  const { specs, ...rest } = body;
  assertEquals((specs as { name: string }[]).map(({ name }) => name), ["web"]);
  assertEquals(rest, {
    fail: ["n1", "n2", "n3"],
    drain: ["n4"],
    add: [{ count: 3, capacity: { cpus: 8, memoryMiB: 2048 }, labels: { zone: "a" } }],
    scale: [{ service: "web", replicas: 10 }, { service: "db", project: "shop", replicas: 2 }],
  });
});

Deno.test("simulate shows the nodes that differ, and all of them when wide", async () => {
  const setting = { handler: forecaster([]) };
  const { out } = await berth(["simulate", "--fail", "n1"], setting);
  assertMatch(out, /n1 +ready → down +1 → 0 +3 → 4 +512M/);
  assertStringIncludes(out, "1 other node as before");
  assertMatch((await berth(["simulate", "-o", "wide"], setting)).out, /\nn2 +ready +2 +1 +512M/);
});

Deno.test("a forecast fits the terminal; for programs it is what the API answered", async () => {
  for (const columns of [60, 80, 120]) {
    const { out } = await berth(["simulate"], { handler: forecaster([]), columns });
    for (const line of out.split("\n").slice(0, -2)) assert(widthOf(line) <= columns, line);
  }
  const json = await berth(["simulate", "-o", "json"], { handler: forecaster([]) });
  assertEquals([json.code, JSON.parse(json.out)], [7, TOLD]);
  const quiet = await berth(["simulate", "-q"], { handler: forecaster([]) });
  assertEquals(quiet.out, "web.1\nshop/db.1\n");
});

Deno.test("a file that is wrong ends with 2 before anything is asked", async () => {
  const asked: unknown[] = [];
  const setting = { handler: forecaster(asked), files: { "bad.yaml": "name: web\nimage: x\n" } };
  for (const command of ["plan", "apply"]) {
    for (const file of ["bad.yaml", "absent.yaml"]) {
      const { code, out, err } = await berth([command, file], setting);
      assertEquals([code, out], [2, ""], err);
      assertMatch(err, /^berth: (bad\.yaml:1:1: template|cannot read absent\.yaml)/);
    }
  }
  const described = await berth(["simulate", "--cpus", "4"], setting);
  assertEquals([described.code, asked], [2, []]);
});

Deno.test("what plan is refused of a file is told with its place there, as apply tells it", async () => {
  const spec = (name: string) =>
    `- {name: ${name}, template: {image: x, ports: [{target: 80, published: 80}]}}`;
  const files = { "two.yaml": `${spec("a")}\n${spec("b")}` };
  const at = "template.ports.0.published";
  const refusing = (field: string): Handler => (request) => {
    if (request.method === "GET") return Response.json(problem(404), { status: 404 });
    const errors = [{ field, message: "tcp/80 is published by service default/a" }];
    return Response.json(problem(409, { detail: "taken", errors }), { status: 409 });
  };
  const planned = await berth(["plan", "two.yaml"], { handler: refusing(`specs.1.${at}`), files });
  assertEquals([planned.code, planned.out], [4, ""]);
  assertStringIncludes(planned.err, `two.yaml:2:66: ${at}: tcp/80 is published by service`);
  const supposed = await berth(["simulate", "--service", "two.yaml"], {
    ...{ handler: refusing(`specs.1.${at}`), files },
  });
  assertStringIncludes(supposed.err, `two.yaml:2:66: ${at}: tcp/80`);
  const applied = await berth(["apply", "two.yaml"], { handler: refusing(at), files });
  assertStringIncludes(applied.err, `two.yaml:1:66: ${at}: tcp/80`);
});

Deno.test("apply creates what is missing, changes what differs, and leaves the rest alone", async () => {
  const calls: string[] = [];
  const files = {
    "three.yaml": ["fresh", "other", "same"].map((name) =>
      `- {name: ${name}, template: {image: x}}`
    )
      .join("\n"),
  };
  const handler: Handler = (request) => {
    const { pathname } = new URL(request.url);
    const name = pathname.split("/").at(-1) ?? "";
    calls.push(`${request.method} ${name}`);
    if (request.method === "POST") {
      return Response.json(serviceView({ name: "fresh", revision: 1 }));
    }
    if (request.method === "GET" && name === "fresh") {
      return Response.json(problem(404), { status: 404 });
    }
    const id = name === "same" ? ID.task1 : name === "other" ? ID.service : name;
    const changed = request.method === "PUT" && id === ID.service;
    return Response.json(serviceView({ id, version: changed ? "0002" : "0001", revision: 3 }));
  };
  const { code, out } = await berth(["apply", "three.yaml"], { handler, files });
  assertEquals(code, 0);
  assertMatch(out, /fresh +created +1\nother +changed +3\nsame +unchanged +3\n/);
  assertEquals(calls.filter((call) => !call.startsWith("GET")), [
    "POST services",
    `PUT ${ID.service}`,
    `PUT ${ID.task1}`,
  ]);
});

Deno.test("apply stops at the first failure, says what was done, and ends with its code", async () => {
  const files = {
    "two.yaml": "- {name: a, template: {image: x}}\n- {name: b, template: {image: x}}",
  };
  const handler: Handler = () => Response.json(problem(403, { detail: "no" }), { status: 403 });
  const { code, out, err } = await berth(["apply", "two.yaml"], { handler, files });
  assertEquals([code, out], [5, ""]);
  assertStringIncludes(err, "cannot apply a; 1 after it was not tried: no");
});

Deno.test("why shows the score of each node, by scorer when wide, in the order of preference", async () => {
  const verdict = (node: string, score: number) => ({
    nodeId: ID.node,
    node,
    fits: true,
    refusals: [],
    score,
    scores: { siblings: 1, load: score - 1 },
  });
  const answers: Record<string, unknown> = {
    "/v1/tasks/web.1": taskView({ name: "web.1" }),
    [`/v1/tasks/${ID.task1}/why`]: {
      taskId: ID.task1,
      name: "web.1",
      state: "running",
      summary: "running on n9, number 1 by spread as things are now (3 of 3 nodes fit now)",
      strategy: "spread",
      // Equals stand in the order in which the planner would take them.
      nodes: [verdict("n9", 1.25), verdict("n1", 1.25), verdict("n5", 1.5)],
    },
  };
  const handler: Handler = (request) => Response.json(answers[new URL(request.url).pathname]);
  const wide = await berth(["why", "web.1", "-o", "wide"], { handler });
  assertEquals(wide.code, 0, wide.err);
  assertMatch(wide.out, /n9 +yes +1\.250 +siblings=1\.000 load=0\.250\nn1 .*\nn5 +yes +1\.500/);
  assert(!(await berth(["why", "web.1"], { handler })).out.includes("siblings"));
});
