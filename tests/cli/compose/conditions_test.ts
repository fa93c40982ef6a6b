import { assertEquals } from "@std/assert";
import { standingOf } from "../../../cli/compose/conditions.ts";
import type { ServiceView } from "../../../kv/schema/service.ts";

/** A service of which nothing runs. */
const idle: Pick<ServiceView, "phase" | "counts" | "mode" | "name" | "stopped" | "revision"> = {
  ...{ phase: "converging", name: "web", stopped: false, revision: 1 },
  counts: { wanted: 1, running: 0, ready: 0, pending: 1, succeeded: 0, failed: 0 },
  mode: { type: "replicated", replicas: 1 },
};

Deno.test("a service that is scaled to nothing is waited for by nobody", () => {
  for (
    const condition of [
      ...["service_started", "service_healthy", "service_completed_successfully"] as const,
    ]
  ) {
    const kindOf = (replicas: number) =>
      standingOf({ ...idle, mode: { type: "replicated", replicas } } as ServiceView, condition)
        .kind;
    assertEquals([kindOf(0), kindOf(1)], ["met", "waiting"], condition);
  }
});
