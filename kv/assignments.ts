/**
 * What a node is to run: always the complete list.
 *
 * @module
 */
import type { Immutable } from "./immutable.ts";
import { key, prefix } from "./keys.ts";
import type { Assignment } from "./schema/agent.ts";
import { Observed, Task } from "./schema/task.ts";
import { isTerminal } from "./schema/task_state.ts";
import { idsUnder } from "./service_view.ts";
import { getRows, type Kv } from "./store.ts";

/**
 * Reads a node's assignments, by age of the task. The rows are not one snapshot: read the version that
 * the answer claims before calling, so that whatever is committed meanwhile is told again.
 *
 * A task that has ended is to be kept stopped: an agent that lost its state would start it again.
 */
export async function readAssignments(
  deps: { kv: Kv; immutable: Immutable },
  nodeId: string,
): Promise<Assignment[]> {
  const { kv, immutable } = deps;
  const ids = await idsUnder(kv, prefix.assigned(nodeId));
  const [rows, seen] = await Promise.all([
    getRows(kv, ids.map((id) => key.task(id)), Task),
    getRows(kv, ids.map((id) => key.observed(id)), Observed),
  ]);
  const ended = new Set(ids.filter((_, i) => isTerminal(seen[i]?.row.state ?? "assigned")));
  const tasks = rows.flatMap((row) => row && row.row.nodeId === nodeId ? [row.row] : []);
  const [names, templates] = await Promise.all([
    immutable.serviceNames(tasks.map((task) => task.serviceId)),
    immutable.templates(tasks),
  ]);
  const assignments: Assignment[] = [];
  for (const [i, task] of tasks.entries()) {
    const name = names.get(task.serviceId);
    const template = templates[i];
    if (!name || !template) {
      await assertGone(kv, task);
      continue;
    }
    assignments.push({
      taskId: task.id,
      serviceId: task.serviceId,
      service: name.name,
      project: name.project,
      slot: task.slot,
      revision: task.revision,
      desired: ended.has(task.id) ? "stop" : task.desired,
      template,
    });
  }
  return assignments;
}

/**
 * A service goes after its tasks, so a task without one was purged since it was read. Were it not, the
 * answer would lack it and the node would remove its container: better no answer.
 */
async function assertGone(kv: Kv, task: Task): Promise<void> {
  const still = await kv.get(key.task(task.id));
  if (still.versionstamp === null) return;
  throw new Error(`task ${task.id}: service ${task.serviceId} or its revision is missing`);
}
