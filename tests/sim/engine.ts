/**
 * The simulated engine of a node, watched by the checker.
 *
 * @module
 */
import type { Assignment } from "../../kv/schema/agent.ts";
import type { SimTimings } from "../../worker/sim.ts";
import { type SimContainer, SimEngine, type SimEngineOptions } from "../../worker/sim/engine.ts";

/** What happens on an engine, whoever caused it. */
export type EngineEvent = "create" | "start" | "exit" | "remove";

const TIMINGS = { callMs: 2, pullMs: 400, createMs: 40, startMs: 120 } as const;

export function slower(factor: number): SimTimings {
  const { callMs, pullMs, createMs, startMs } = TIMINGS;
  return {
    callMs: callMs * factor,
    pullMs: pullMs * factor,
    createMs: createMs * factor,
    startMs: startMs * factor,
  };
}

export class WatchedEngine extends SimEngine {
  constructor(
    options: SimEngineOptions,
    private readonly watch: (event: EngineEvent, taskId: string) => void,
  ) {
    super(options);
  }
  override create(nodeId: string, assignment: Assignment): void {
    super.create(nodeId, assignment);
    this.watch("create", assignment.taskId);
  }
  override start(container: SimContainer): string | undefined {
    const refusal = super.start(container);
    if (refusal === undefined) this.watch("start", container.taskId);
    return refusal;
  }
  override exit(container: SimContainer, exitCode: number, oomKilled = false): void {
    const ran = container.running !== undefined;
    super.exit(container, exitCode, oomKilled);
    if (ran) this.watch("exit", container.taskId);
  }
  override remove(container: SimContainer): void {
    super.remove(container);
    this.watch("remove", container.taskId);
  }
}
