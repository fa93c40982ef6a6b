import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ServiceSpec } from "../../kv/schema/service.ts";
import { type RunOptions, runSpec } from "../../cli/run_spec.ts";
import { berth, type Handler, ID, NOW, problem, serviceView, taskView } from "./support.ts";

const none: RunOptions = {
  name: "x",
  detach: true,
  rm: false,
  env: [],
  publish: [],
  cpus: undefined,
  memory: undefined,
  label: [],
  node: undefined,
  replicas: undefined,
  restart: undefined,
  project: undefined,
};

const MODES: { flags: Partial<RunOptions>; mode: Record<string, unknown> }[] = [
  { flags: { mode: "global" }, mode: { type: "global" } },
  {
    flags: { mode: "job", completions: 5, parallelism: 2, retries: 1, deadline: 60_000 },
    mode: { type: "job", completions: 5, parallelism: 2, retries: 1, deadlineMs: 60_000 },
  },
  {
    flags: { detach: false, deadline: 1000 },
    mode: { type: "job", completions: 1, parallelism: 1, retries: 0, deadlineMs: 1000 },
  },
  {
    flags: {
      ...{ schedule: "@daily", timeZone: "Europe/Berlin", concurrency: "replace" },
      ...{ catchUp: 5000, retries: 2, keepFailed: 7 },
    },
    mode: {
      ...{ type: "cron", schedule: "@daily", timeZone: "Europe/Berlin", concurrency: "replace" },
      ...{ catchUpMs: 5000, retries: 2, history: { succeeded: 3, failed: 7 } },
    },
  },
];

for (const { flags, mode } of MODES) {
  Deno.test(`the flags ${Object.keys(flags).join(", ")} make a ${mode.type} service`, () => {
    const made = runSpec({ ...none, ...flags }, "app", [], () => 0);
    assert(made.ok, made.ok ? "" : made.message);
    assertEquals(ServiceSpec.parse(made.value).mode as unknown, mode);
  });
}

const REFUSED: [string[], string][] = [
  [["-d", "--mode", "cron"], "--mode cron needs --schedule"],
  [["--mode", "global"], "a global service needs -d"],
  [["--schedule", "@daily"], "a cron service needs -d"],
  [["-d", "--mode", "global", "--replicas", "3"], "--replicas is for --mode replicated"],
  [["-d", "--retries", "3"], "--retries is for --mode job or cron"],
  [["-d", "--mode", "job", "--schedule", "@daily"], "--schedule is for --mode cron"],
  [["-d", "--keep-failed", "3"], "--keep-failed is for --mode cron"],
  [["-d", "--schedule", "@daily", "--keep-failed", "101"], "--keep-failed: "],
  [["-d", "--rm", "--schedule", "@daily"], "--rm is for jobs"],
  [["--completions", "3"], "need -d: a foreground run is one task"],
  [["-d", "--schedule", "99 * * * *"], "--schedule: must be a schedule"],
  [["-d", "--schedule", "@daily", "--time-zone", "Mars"], "--time-zone: must be an IANA"],
  [["-d", "--schedule", "@daily", "--restart", "any"], "--restart any is not for cron"],
];

for (const [args, message] of REFUSED) {
  Deno.test(`berth run ${args.join(" ")} is refused before the server is asked`, async () => {
    const handler = () => Response.json(problem(500), { status: 500 });
    const { code, err } = await berth(["run", ...args, "app"], { handler });
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  });
}

/** A server with one service, which it changes as it is told. */
function server(view: Record<string, unknown>): { handler: Handler; puts: unknown[] } {
  let service = serviceView(view);
  const puts: unknown[] = [];
  return {
    puts,
    async handler(request) {
      if (request.method !== "PUT") return Response.json(service);
      const spec = await request.json();
      puts.push(spec.mode);
      service = { ...service, mode: spec.mode, phase: "running" };
      return Response.json(service);
    },
  };
}

Deno.test("scale changes the number alone, and waits until they run", async () => {
  const { handler, puts } = server({});
  const { code, out } = await berth(["scale", "storefront=3"], { handler });
  assertEquals([code, out], [0, "storefront\n"]);
  assertEquals(puts, [{ type: "replicated", replicas: 3 }]);
});

Deno.test("scale refuses what has no replicas, and what is no number", async () => {
  const { handler, puts } = server({ mode: { type: "global" } });
  const global = await berth(["scale", "storefront=3"], { handler });
  assertEquals(global.code, 4);
  assertStringIncludes(global.err, "storefront is a global service: only replicated ones");
  for (const target of ["storefront", "storefront=", "storefront=many", "=3"]) {
    const bad = await berth(["scale", target], { handler });
    assertEquals(bad.code, 2, target);
    assertStringIncludes(bad.err, "berth scale web=3");
  }
  assertEquals(puts, []);
});

Deno.test("lists say when a cron service runs next, and how many nodes run a global one", async () => {
  const handler = () =>
    Response.json({
      items: [
        serviceView({
          name: "nightly",
          mode: { type: "cron", schedule: "30 14 * * *", timeZone: "Europe/Berlin" },
          counts: { wanted: 0, running: 0, ready: 0, pending: 0, succeeded: 3, failed: 0 },
          phase: "scheduled",
        }),
        serviceView({
          name: "agent",
          mode: { type: "global" },
          counts: { wanted: 3, running: 3, ready: 3, pending: 0, succeeded: 0, failed: 0 },
          phase: "running",
        }),
      ],
    });
  const { out } = await berth(["services"], { handler });
  const lines = out.split("\n").map((line) => line.split(/  +/).slice(0, 4));
  assertEquals(lines[1], ["agent", "global", "3/3", "running"]);
  assertEquals(lines[2], ["nightly", "cron", "in 1h 30m", "scheduled"], NOW);
});

const run = (more: Record<string, unknown> = {}) => ({
  id: ID.task1,
  serviceId: ID.service,
  trigger: "request",
  requestedAt: NOW,
  env: {},
  tries: 0,
  state: "pending",
  ended: false,
  ...more,
});

Deno.test("job run sends the changed arguments, flags before and after, and can return at once", async () => {
  const bodies: unknown[] = [];
  const handler: Handler = async (request) => {
    bodies.push(new URL(request.url).pathname, await request.json());
    return Response.json(run(), { status: 201 });
  };
  const args = ["job", "run", "backup", "-e", "A=1", "--no-wait", "--", "sh", "-c", "x"];
  assertEquals((await berth(args, { handler })).out, `${ID.task1}\n`);
  const sent = { command: ["sh", "-c", "x"], env: { A: "1" } };
  assertEquals(bodies, ["/v1/services/backup/runs", sent]);
});

Deno.test("job run ends with the exit code of the run, after its last try", async () => {
  const answers = [
    run(),
    run({ tries: 1, state: "failed", taskId: ID.task1, slot: 1, exitCode: 1 }),
    run({ tries: 2, state: "failed", taskId: ID.task2, slot: 1, exitCode: 7, ended: true }),
  ];
  const handler: Handler = (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") return Response.json(run(), { status: 201 });
    if (pathname.startsWith("/v1/tasks/")) {
      const { observed: _, ...task } = taskView({ state: "failed" });
      return Response.json(task);
    }
    return Response.json({ items: [answers.length > 1 ? answers.shift() : answers[0]] });
  };
  const { code, err } = await berth(["job", "run", "backup"], { handler });
  assertEquals(code, 7, err);
  assertStringIncludes(err, "the run of backup failed");
});

Deno.test("job ls shows what started each run and how it ended", async () => {
  const items = [
    run({ slot: 4, tries: 1, state: "running", command: ["backup", "--full"] }),
    run({ trigger: "schedule", slot: 3, tries: 2, state: "failed", exitCode: 3, ended: true }),
  ];
  const { out } = await berth(["job", "ls", "backup"], { handler: () => Response.json({ items }) });
  const lines = out.split("\n").map((line) => line.trim().split(/  +/));
  assertEquals(lines[1]?.slice(0, 3), ["backup.4", "running", "request"]);
  assertEquals(lines[1]?.at(-1), "backup --full");
  assertEquals(lines[2]?.slice(0, 3), ["backup.3", "failed", "schedule"]);
});
