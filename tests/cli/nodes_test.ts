import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseLabel } from "../../cli/catalog/nodes.ts";
import { berth, type Handler, ID, nodeView, problem } from "./support.ts";

interface Sent {
  method: string;
  path: string;
  ifMatch: string | null;
  body?: unknown;
}

/** A server with the node n1, whose spec is what was put last; every request is kept. */
function server(first: Record<string, unknown>): { sent: Sent[]; handler: Handler } {
  const sent: Sent[] = [];
  let spec = first;
  return {
    sent,
    async handler(request) {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      const body = text === "" ? {} : { body: JSON.parse(text) };
      const ifMatch = request.headers.get("if-match");
      if (request.method !== "GET") {
        sent.push({ method: request.method, path: pathname + search, ifMatch, ...body });
      }
      if (request.method === "PUT") spec = body.body;
      if (request.method === "DELETE" || request.method === "POST") {
        return new Response(null, { status: 204 });
      }
      const drained = spec["availability"] === "drain";
      return Response.json(nodeView({ name: "n1", spec, tasks: drained ? 0 : 3 }));
    },
  };
}

const GPU = { key: "gpu", effect: "no-schedule" };
const PLAIN = { pool: "default", taints: [] };
const ACTIVE = { ...PLAIN, labels: { zone: "a" }, availability: "active" };

const CASES: [args: string[], first: Record<string, unknown>, spec: Record<string, unknown>][] = [
  [["cordon", "n1"], ACTIVE, { ...PLAIN, labels: { zone: "a" }, availability: "cordon" }],
  [
    ["activate", "n1"],
    { ...ACTIVE, availability: "drain", drain: { deadlineMs: 5 } },
    { ...PLAIN, labels: { zone: "a" }, availability: "active" },
  ],
  [["drain", "n1"], ACTIVE, { ...PLAIN, labels: { zone: "a" }, availability: "drain" }],
  [
    ["drain", "n1", "--deadline", "5m", "--no-wait"],
    { ...ACTIVE, ttlMs: 9000 },
    { ...ACTIVE, ttlMs: 9000, availability: "drain", drain: { deadlineMs: 300_000 } },
  ],
  [
    ["label", "n1", "disk=ssd", "zone-"],
    ACTIVE,
    { ...PLAIN, labels: { disk: "ssd" }, availability: "active" },
  ],
  [["taint", "n1", "gpu"], ACTIVE, { ...ACTIVE, taints: [GPU] }],
  [
    ["taint", "n1", "leaving=soon:no-execute", "gpu=b:no-schedule"],
    { ...ACTIVE, taints: [GPU, { ...GPU, effect: "no-execute" }] },
    {
      ...ACTIVE,
      taints: [
        { ...GPU, effect: "no-execute" },
        { key: "leaving", value: "soon", effect: "no-execute" },
        { ...GPU, value: "b" },
      ],
    },
  ],
  [["taint", "n1", "gpu-"], { ...ACTIVE, taints: [GPU] }, ACTIVE],
  [["pool", "edge", "n1"], ACTIVE, { ...ACTIVE, pool: "edge" }],
];

for (const [args, first, spec] of CASES) {
  Deno.test(`node ${args.join(" ")}: changes what it says, at the version that it read`, async () => {
    const { sent, handler } = server(first);
    const { code, out } = await berth(["node", ...args], { handler });
    assertEquals([code, out], [0, "n1\n"]);
    assertEquals(sent.map(({ method, ifMatch, body }) => [method, ifMatch, body]), [
      ["PUT", "00000002", spec],
    ]);
  });
}

Deno.test("a list of nodes tells how far a drain is and until when it has patience", async () => {
  const spec = { ...ACTIVE, availability: "drain" };
  const deadlineAt = "2026-01-31T12:10:00.000Z";
  const states: [drain: Record<string, unknown>, state: RegExp, note: RegExp][] = [
    [{ left: 2, deadlineAt }, / draining /, /2 tasks left, what remains is stopped in \d+m/],
    [{ left: 1, deadlineAt: "2020-01-01T00:00:00.000Z" }, / draining /, /1 task left, past the/],
    [{ left: 0, deadlineAt }, / drained /, /it answers/],
  ];
  for (const [drain, state, note] of states) {
    const node = nodeView({ name: "n1", spec, drain });
    const handler = () => Response.json({ items: [node] });
    const { out } = await berth(["node", "ls", "-o", "wide"], { handler });
    assertMatch(out, state);
    assertMatch(out, note);
  }
});

Deno.test("a list of nodes names the services whose tasks keep failing there", async () => {
  const failing = { [ID.service]: "2 tasks of default/web failed there: ranked last for it" };
  const status = { state: "ready", since: "2026-01-31T09:00:00.000Z", why: "it answers", failing };
  const handler = () => Response.json({ items: [nodeView({ name: "n1", status })] });
  const { out } = await berth(["node", "ls", "-o", "wide"], { handler });
  assertStringIncludes(out, "2 tasks of default/web failed there: ranked last for it\n");
});

Deno.test("a list of nodes tells whether a taint keeps tasks away, and a wide one which", async () => {
  const gpu = { key: "gpu", value: "a", effect: "no-schedule" };
  const specs = [[gpu], [{ ...gpu, effect: "prefer-no-schedule" }], []];
  const handler = () =>
    Response.json({
      items: specs.map((taints, i) => nodeView({ name: `n${i}`, spec: { ...ACTIVE, taints } })),
    });
  const { out } = await berth(["nodes", "-o", "wide"], { handler });
  const [, tainted, softly, plain] = out.split("\n");
  assertMatch(tainted ?? "", /^n0 +ready \(tainted\) .* gpu=a:no-schedule /);
  assertMatch(softly ?? "", /^n1 +ready {2}.* gpu=a:prefer-no-schedule /);
  assertMatch(plain ?? "", /^n2 +ready {2}.* - /);
});

Deno.test("a taint that is none is refused, and nothing is sent", async () => {
  for (const wrong of ["*", "gpu:never", "=x", ""]) {
    const { sent, handler } = server(ACTIVE);
    const { code, err } = await berth(["node", "taint", "n1", wrong], { handler });
    assertEquals([code, sent], [2, []], wrong);
    assertStringIncludes(err, wrong.includes(":") ? "effect" : "KEY");
  }
});

Deno.test("node rm and restart ask for it, a removal by the node's id", async () => {
  const { sent, handler } = server(ACTIVE);
  assertEquals((await berth(["node", "rm", "n1"], { handler })).code, 0);
  assertEquals((await berth(["node", "rm", "-f", "n2"], { handler })).code, 0);
  assertEquals((await berth(["node", "restart", "n1"], { handler })).code, 0);
  assertEquals(sent.map(({ method, path }) => `${method} ${path}`), [
    `DELETE /v1/nodes/${ID.node}`,
    `DELETE /v1/nodes/${ID.node}?force=true`,
    "POST /v1/nodes/n1/restart",
  ]);
});

Deno.test("node rm passes on why the server refuses", async () => {
  const { code, err } = await berth(["node", "rm", "n1"], {
    handler: ({ method }) =>
      method === "GET"
        ? Response.json(nodeView({ name: "n1" }))
        : Response.json(problem(409, { detail: "node n1 has 3 tasks", hint: "Drain it first" }), {
          status: 409,
        }),
  });
  assertEquals(code, 4);
  assertStringIncludes(err, "node n1 has 3 tasks");
});

Deno.test("a label is set or taken away, and nothing else is one", () => {
  assertEquals(parseLabel("a=b=c"), { ok: true, value: { key: "a", value: "b=c" } });
  assertEquals(parseLabel("a="), { ok: true, value: { key: "a", value: "" } });
  assertEquals(parseLabel("a-"), { ok: true, value: { key: "a" } });
  for (const wrong of ["a", "=b", "-", ""]) assertEquals(parseLabel(wrong).ok, false, wrong);
});
