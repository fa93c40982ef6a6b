import { assertEquals } from "@std/assert";
import { isReady, type Observed } from "../../kv/schema/task.ts";
import type { TaskState } from "../../kv/schema/task_state.ts";

Deno.test("a task is ready by its readiness probe, or without one by its health", () => {
  type Seen = Pick<Observed, "health" | "ready">;
  const table: [TaskState, Seen | undefined, boolean][] = [
    ["running", { health: "none" }, true],
    ["running", { health: "healthy" }, true],
    ["running", { health: "starting" }, false],
    ["running", { health: "unhealthy" }, false],
    ["running", { health: "none", ready: false }, false],
    ["running", { health: "none", ready: true }, true],
    ["running", { health: "healthy", ready: false }, false],
    ["running", { health: "starting", ready: true }, true],
    ["running", { health: "unhealthy", ready: true }, false],
    ["running", undefined, false],
    ["assigned", undefined, false],
    ["starting", { health: "healthy" }, false],
    ["failed", { health: "healthy", ready: true }, false],
  ];
  assertEquals(
    table.map(([state, seen]) => [state, seen, isReady(state, seen)]),
    table.map((row) => [...row]),
  );
});
