import { assertEquals } from "@std/assert";
import { ReadinessCheck } from "../../kv/schema/health.ts";
import { newRecord } from "../../worker/record.ts";
import type { ContainerStatus } from "../../worker/runtime.ts";
import { attention, type World } from "../../worker/diff.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const running = (n: number): ContainerStatus => ({
  id: `c${n}`,
  taskId: idOf(n),
  state: "running",
  exitCode: 0,
  oomKilled: false,
  error: "",
  health: "none",
  startedAt: "2030-01-01T00:00:01Z",
  ports: [],
});

const known = (n: number) => {
  const fresh = newRecord(assignmentOf(n));
  return {
    ...fresh,
    run: "2030-01-01T00:00:01Z",
    observed: { ...fresh.observed, state: "running" as const },
  };
};

function world(over: Partial<World>): World {
  return { records: new Map(), containers: [], confirmed: true, nowMs: 0, ...over };
}

const assigned = (...ns: number[]) => new Map(ns.map((n) => [idOf(n), assignmentOf(n)]));
const records = (...ns: number[]) => new Map(ns.map((n) => [idOf(n), known(n)]));

Deno.test("what runs as it should needs no attention", () => {
  const containers = [running(1), running(2)];
  assertEquals(
    attention(world({ assignments: assigned(1, 2), records: records(1, 2), containers })),
    [],
  );
});

Deno.test("the new, the gone and the foreign need attention, oldest first", () => {
  const found = attention(world({
    assignments: assigned(4, 1, 2),
    records: records(1, 2),
    containers: [running(3), running(1)],
  }));
  assertEquals(found, [idOf(2), idOf(3), idOf(4)]);
});

Deno.test("before a set is known every container is left alone", () => {
  assertEquals(attention(world({ containers: [running(1)] })), []);
});

Deno.test("before a poll confirmed the set, foreign containers are left alone", () => {
  const found = attention(world({
    assignments: assigned(1),
    containers: [running(2)],
    confirmed: false,
  }));
  assertEquals(found, [idOf(1)]);
});

Deno.test("a task that waits for its restart needs attention when its time has come", () => {
  const waiting = { ...newRecord(assignmentOf(1)), dueMs: 100 };
  const at = (nowMs: number) =>
    attention(world({
      assignments: assigned(1),
      records: new Map([[idOf(1), waiting]]),
      nowMs,
    }));
  assertEquals(at(99), []);
  assertEquals(at(100), [idOf(1)]);
});

Deno.test("what is to be probed and is not yet needs attention, as after the agent's restart", () => {
  const readiness = ReadinessCheck.parse({ probe: { type: "exec", command: ["check"] } });
  const assignment = assignmentOf(1, { readiness });
  const unready = known(1);
  unready.observed.ready = false;
  const scene = {
    assignments: new Map([[idOf(1), assignment]]),
    records: new Map([[idOf(1), unready]]),
    containers: [running(1)],
  };
  assertEquals(attention(world({ ...scene, probed: () => undefined })), [idOf(1)]);
  assertEquals(attention(world({ ...scene, probed: () => ({ ready: false }) })), []);
});
