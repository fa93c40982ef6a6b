/**
 * Which tasks need attention, given everything that is known. Pure. The list of containers is only
 * a hint (it may be older than the last step): whoever attends to a task looks at its container again.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import type { Standing } from "./lease.ts";
import type { ContainerStatus } from "./runtime.ts";
import { type AgentProbeVerdict, isProbed } from "./probes/subject.ts";
import type { TaskRecord, View } from "./record.ts";
import { nextStep } from "./step.ts";

export interface World {
  /** Absent until a set is known: then every container is left alone. */
  assignments?: ReadonlyMap<string, Assignment>;
  records: ReadonlyMap<string, TaskRecord>;
  containers: readonly ContainerStatus[];
  /** What the agent's probes say of a task. */
  probed?: (taskId: string) => AgentProbeVerdict | undefined;
  confirmed: boolean;
  nowMs: number;
  /** Of a task that is to run; absent: free. */
  standing?: (assignment: Assignment) => Standing;
}

/** The tasks whose next step is not to do nothing, or that nobody probes yet, by id (oldest first). */
export function attention(world: World): string[] {
  const { assignments, records, confirmed, nowMs } = world;
  if (!assignments) return [];
  const containers = new Map(world.containers.map((c) => [c.taskId, c]));
  const all = new Set([...assignments.keys(), ...records.keys(), ...containers.keys()]);
  return [...all].sort().filter((taskId) => {
    const assignment = assignments.get(taskId);
    const record = records.get(taskId);
    const container = containers.get(taskId);
    const probed = world.probed?.(taskId);
    const standing = assignment && world.standing?.(assignment);
    const view: View = {
      taskId,
      ...(standing && standing.kind !== "free" ? { standing } : {}),
      ...(assignment ? { assignment } : {}),
      ...(record ? { record } : {}),
      ...(container ? { container } : {}),
      ...(probed ? { probed } : {}),
      confirmed,
      interrupted: false,
      stopSent: false,
      nowMs,
      wallMs: 0,
      jitter: 0,
    };
    // An agent that was started again knows of no probe until it looks at the task.
    if (world.probed && !probed && isProbed(view)) return true;
    const { kind } = nextStep(view);
    return kind !== "none" && kind !== "wait";
  });
}
