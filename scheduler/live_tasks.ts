/**
 * What the leader knows of tasks, for views that would else read the rows of all of them.
 *
 * @module
 */
import type { LiveTasks, TaskSummary } from "../kv/schema/tasks_known.ts";
import { isReady } from "../kv/schema/task.ts";
import type { TaskRecord, World } from "./world.ts";

export function liveTasks(world: World): LiveTasks {
  return {
    ofService(serviceId) {
      const service = world.services.get(serviceId);
      if (!service) return undefined;
      const { live, ended } = service;
      const summaries: TaskSummary[] = [];
      for (const [slot, tasks] of ended) {
        const all = [...tasks, ...live.get(slot) ?? []];
        if (all.length > 1) all.sort((a, b) => a.task.id < b.task.id ? -1 : 1);
        for (const record of all) summaries.push(summaryOf(record));
      }
      for (const [slot, tasks] of live) {
        if (!ended.has(slot)) { for (const record of tasks) summaries.push(summaryOf(record)); }
      }
      return summaries;
    },
    onNode(nodeId) {
      const node = world.nodes.get(nodeId);
      return node && {
        tasks: node.holding.size,
        milliCpus: node.usedMilliCpus,
        memoryMiB: node.usedMemoryMiB,
      };
    },
    markOfService: (serviceId) => world.services.get(serviceId)?.mark,
    markOfNode: (nodeId) => world.nodes.get(nodeId)?.mark,
  };
}

function summaryOf({ task, state, observed }: TaskRecord): TaskSummary {
  const { slot, revision, desired, failures } = task;
  return { slot, revision, desired, failures, state, ready: isReady(state, observed) };
}
