import { assertEquals, assertStringIncludes } from "@std/assert";
import { ServiceView } from "../../kv/schema/service.ts";
import { TaskView } from "../../kv/schema/task.ts";
import { type Goal, serviceStanding, taskStanding } from "../../cli/commands/wait.ts";
import { berth, ID, oneService, problem, serviceView, taskView } from "./support.ts";

const counts = { wanted: 2, running: 2, ready: 0, pending: 0, succeeded: 0, failed: 0 };
const GOALS: Goal[] = ["running", "ready", "done", "gone"];

Deno.test("where a service stands follows from its phase and counts", () => {
  const table: [Record<string, unknown>, string][] = [
    [{ phase: "converging", counts: { ...counts, running: 1 } }, "waiting waiting waiting waiting"],
    [{ phase: "converging", counts }, "reached waiting waiting waiting"],
    [{ phase: "running", counts: { ...counts, ready: 2 } }, "reached reached waiting waiting"],
    [{ phase: "stopped", counts: { ...counts, running: 0 } }, "missed missed waiting waiting"],
    [{ phase: "finished", counts }, "missed missed reached waiting"],
    [{ phase: "failed", counts }, "missed missed missed waiting"],
    [{ phase: "removing", counts }, "missed missed missed waiting"],
  ];
  for (const [more, wanted] of table) {
    const service = ServiceView.parse(serviceView(more));
    const kinds = GOALS.map((goal) => serviceStanding(service, goal).kind);
    assertEquals(kinds.join(" "), wanted, JSON.stringify(more));
  }
});

Deno.test("where a task stands follows from its state", () => {
  const table: [Record<string, unknown>, string][] = [
    [{ state: "starting", ready: false }, "waiting waiting waiting waiting"],
    [{ state: "running", ready: false }, "reached waiting waiting waiting"],
    [{ state: "running", ready: true }, "reached reached waiting waiting"],
    [{ state: "running", ready: true, desired: "stop" }, "waiting waiting waiting waiting"],
    [{ state: "succeeded", ready: false }, "missed missed reached reached"],
    [{ state: "failed", ready: false }, "missed missed missed reached"],
  ];
  for (const [more, wanted] of table) {
    const task = TaskView.parse(taskView(more));
    const kinds = GOALS.map((goal) => taskStanding(task, goal).kind);
    assertEquals(kinds.join(" "), wanted, JSON.stringify(more));
  }
});

Deno.test("wait ends with 0 when it is so, 1 when it cannot be, 7 when the time is over", async () => {
  const setting = (view: unknown) => ({
    handler: (request: Request) =>
      new URL(request.url).pathname === `/v1/services/${ID.service}`
        ? Response.json(view)
        : oneService(request),
  });
  const ready = { ...counts, ready: 2 };
  const there = await berth(
    ["wait", "storefront"],
    setting(serviceView({ phase: "running", counts: ready })),
  );
  assertEquals([there.code, there.out], [0, "storefront running, 2 of 2 ready\n"]);
  const failed = await berth(
    ["wait", "--for", "done", "storefront"],
    setting(serviceView({ phase: "failed" })),
  );
  assertEquals(failed.code, 1);
  assertStringIncludes(failed.err, "will not be done: it is failed");
  const late = await berth(
    ["wait", "--timeout", "20ms", "storefront"],
    setting(serviceView({ phase: "converging" })),
  );
  assertEquals(late.code, 7);
  assertStringIncludes(late.err, "berth describe storefront");
});

Deno.test("what is not there is gone, and cannot be anything else", async () => {
  const handler = () => Response.json(problem(404), { status: 404 });
  assertEquals((await berth(["wait", "--for", "gone", "web"], { handler })).code, 0);
  assertEquals((await berth(["wait", "web"], { handler })).code, 3);
});
