import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { nextStep } from "../../cli/commands/rollout.ts";
import { serviceFields } from "../../cli/format/describe.ts";
import { ServiceView } from "../../kv/schema/service.ts";
import { RolloutView } from "../../kv/schema/rollout.ts";
import { berth, type Handler, ID, NOW, problem, serviceView } from "./support.ts";

function rollout(more: Record<string, unknown> = {}) {
  return {
    revision: 3,
    goal: 3,
    stable: 2,
    state: "progressing",
    updated: 1,
    total: 2,
    retiring: 1,
    since: NOW,
    ...more,
  };
}

/** A server whose service goes through these rollouts, one per look; `sent` gets what is written. */
function server(states: Record<string, unknown>[], sent: unknown[] = []): Handler {
  let look = 0;
  return async (request) => {
    const { pathname } = new URL(request.url);
    const state = states[Math.min(look, states.length - 1)];
    if (pathname.endsWith("/revisions")) {
      const row = { createdAt: NOW, image: "app:3", tasks: 1 };
      return Response.json({
        items: [
          { ...row, revision: 3, current: true, changes: ["image app:2 → app:3"] },
          { ...row, revision: 2, current: false, changes: [] },
        ],
      });
    }
    if (request.method !== "GET") {
      sent.push(await request.json());
      return Response.json(serviceView({ revision: 4, rollout: state }));
    }
    look++;
    return pathname.startsWith("/v1/services/")
      ? Response.json(serviceView({ revision: 3, rollout: state }))
      : Response.json(problem(404), { status: 404 });
  };
}

Deno.test("rollout status says how far it is, and what to do next is left to people", async () => {
  const { code, out, err } = await berth(["rollout", "status", "storefront"], {
    handler: server([rollout()]),
  });
  assertEquals([code, err], [0, ""]);
  assertEquals(
    out,
    "storefront: revision 3 progressing: 1 of 2 slots updated, 1 old task left\n",
  );
  const json = await berth(["rollout", "status", "storefront", "-o", "json"], {
    handler: server([rollout()]),
  });
  assertEquals(JSON.parse(json.out).updated, 1);
});

Deno.test("rollout status -f follows to the end; the code tells how it ended", async () => {
  const ends: [Record<string, unknown>, number][] = [
    [{ state: "done", stable: 3, updated: 2, retiring: 0 }, 0],
    [{ state: "paused", why: "1 of 2 slots failed" }, 0],
    [{ state: "waiting-promote" }, 0],
    [{ state: "failed", why: "rollback: no progress" }, 1],
    [{ state: "rolled-back", goal: 2, why: "1 of 2 slots failed" }, 1],
  ];
  for (const [end, expected] of ends) {
    const { code, out } = await berth(["rollout", "status", "-f", "storefront"], {
      handler: server([rollout(), rollout(), rollout(end)]),
    });
    assertEquals(code, expected, out);
    assertStringIncludes(out, String(end.state));
    if (end.why) assertStringIncludes(out, String(end.why));
  }
});

Deno.test("a rollout that needs somebody says what to do next", () => {
  const next = (more: Record<string, unknown>) =>
    nextStep(RolloutView.parse(rollout({ updated: 1, ...more })), "shop");
  const goOn = "Go back: berth rollout undo shop";
  assertEquals(next({ state: "paused" }), `Go on: berth rollout resume shop. ${goOn}`);
  assertEquals(next({ state: "waiting-promote" }), `Go on: berth rollout promote shop. ${goOn}`);
  assertEquals(next({ state: "rolled-back", goal: 2 }), "See why: berth describe shop");
  assertEquals(next({ state: "failed" }), "See why: berth describe shop");
  assertEquals(next({ state: "rolled-back", revision: 2, goal: 2 }), undefined);
  assertEquals(next({ state: "progressing" }), undefined);
});

Deno.test("describe says to which revision tasks went back", () => {
  const said = (more: Record<string, unknown>) =>
    serviceFields(ServiceView.parse(serviceView({ rollout: rollout(more) })))
      .find(([name]) => name === "Rollout")?.[1];
  assertEquals(said({ state: "rolled-back", goal: 2 }), "rolled-back to revision 2, 1 of 2 slots");
  assertEquals(said({}), "progressing, 1 of 2 slots");
});

Deno.test("users who went back are told so, and of slots that serve once it is over", async () => {
  const back = { revision: 2, goal: 2, stable: 2, updated: 2, retiring: 1 };
  const said = async (state: Record<string, unknown>) =>
    await berth(["rollout", "status", "storefront"], { handler: server([rollout(state)]) });
  const under = await said({ ...back, state: "rolling-back", updated: 1 });
  assertStringIncludes(
    under.out,
    "going back to revision 2: 1 of 2 slots updated, 1 old task left",
  );
  const over = await said({ ...back, state: "rolled-back" });
  assertEquals(over.code, 0);
  assertStringIncludes(
    over.out,
    "went back to revision 2: 2 of 2 slots serve, 1 old task stopping",
  );
});

Deno.test("following a rollout is bounded", async () => {
  const { code, err } = await berth(
    ["rollout", "status", "-f", "storefront", "--timeout", "20ms"],
    { handler: server([rollout()]) },
  );
  assertEquals(code, 7);
  assertMatch(err, /goes on by itself/);
});

Deno.test("rollout history lists revisions and marks the current one", async () => {
  const { out } = await berth(["rollout", "history", "storefront"], { handler: server([{}]) });
  assertMatch(out, /^REVISION +AGE +TASKS +IMAGE +CHANGES\n3 \* .*image app:2 → app:3\n2 /);
});

Deno.test("undo, pause, resume and promote send what they say", async () => {
  const cases: [string[], unknown][] = [
    [["undo", "--no-wait"], { action: "undo" }],
    [["undo", "--to", "2", "--no-wait"], { action: "undo", to: 2 }],
    [["pause", "--no-wait"], { action: "pause" }],
    [["resume", "--no-wait"], { action: "resume" }],
    [["promote", "--no-wait"], { action: "promote" }],
  ];
  for (const [[action = "", ...flags], expected] of cases) {
    const sent: unknown[] = [];
    const handler = server([rollout()], sent);
    const ran = await berth(["rollout", action, ...flags, "storefront"], { handler });
    assertEquals([ran.code, ran.out, sent], [0, "storefront\n", [expected]]);
  }
});

Deno.test("what is asked of a rollout that waits is followed once it was heeded, and not before", async () => {
  const later = "2026-11-20T12:00:09.000Z";
  const cases: [string, Record<string, unknown>[], RegExp][] = [
    ["promote", [
      { state: "waiting-promote" },
      { state: "waiting-promote" },
      { state: "progressing" },
      { state: "done", updated: 2, retiring: 0 },
    ], /revision 3 done: 2 of 2 slots serve/],
    // It goes wrong again between two looks.
    [
      "resume",
      [{ state: "paused" }, { state: "paused" }, { state: "paused", since: later }],
      /paused/,
    ],
    ["pause", [{}, {}, { state: "paused" }], /revision 3 paused/],
  ];
  for (const [action, states, said] of cases) {
    const looks: number[] = [];
    const answer = server(states.map((state) => rollout(state)));
    const handler: Handler = (request) => {
      looks.push(1);
      return answer(request);
    };
    const ran = await berth(["rollout", action, "storefront"], { handler });
    assertEquals([ran.code, looks.length], [0, states.length + 1], action);
    assertMatch(ran.out, said);
  }
});

Deno.test("update changes what its flags name, and nothing else", async () => {
  const sent: Record<string, unknown>[] = [];
  const handler = server([rollout({ state: "done", stable: 3 })], sent);
  const args = [
    "--image",
    "app:4",
    "-e",
    "A=1",
    "--memory",
    "64m",
    "--update-order",
    "start-first",
  ];
  const more = [
    "--update-failure-action",
    "rollback",
    "--update-max-failure-ratio",
    "0.2",
    "--update-delay",
    "2s",
  ];
  const ran = await berth(["update", ...args, ...more, "storefront", "--", "serve", "--all"], {
    handler,
  });
  assertEquals(ran.code, 0, ran.err);
  const [spec] = sent as { template: Record<string, unknown>; update: Record<string, unknown> }[];
  assertEquals(spec?.template.image, "app:4");
  assertEquals(spec?.template.env, { A: "1" });
  assertEquals(spec?.template.command, ["serve", "--all"]);
  assertEquals(spec?.template.limit, { cpus: 0, memoryMiB: 64 });
  const { order, failureAction, maxFailureRatio, delayMs, parallelism } = spec?.update ?? {};
  assertEquals([order, failureAction, maxFailureRatio, delayMs, parallelism], [
    "start-first",
    "rollback",
    0.2,
    2000,
    1,
  ]);
});

Deno.test("a job has no rollout", async () => {
  const handler = () => Response.json(serviceView({ id: ID.service }));
  const { code, err } = await berth(["rollout", "status", "storefront"], { handler });
  assertEquals(code, 2);
  assertStringIncludes(err, "it has no rollouts");
});
