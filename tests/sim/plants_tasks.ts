/**
 * Planted bugs in what is committed of tasks.
 *
 * @module
 */
import type { Plant } from "./plants.ts";
import {
  drop,
  isDeletion,
  isLeaders,
  nodeIds,
  onCommits,
  onRewrites,
  onTasks,
  rowsOf,
  type TaskValue,
} from "./tamper.ts";
import { CROWD, LIFE, LOSS, MOVE, WORK } from "./stories/days.ts";

export const TASK_PLANTS: readonly Plant[] = [
  {
    name: "a late report overwrites the end of a task",
    story: LIFE,
    finds: /it had ended/,
    install: (sim) =>
      onCommits(sim, (op) => {
        if (!op.mutations.some(({ key }) => key[0] === "report")) return;
        const ended = [...sim.database.mirror.values()].find(({ key, value }) =>
          key[0] === "observed" && (value as { state: string }).state === "stopped"
        );
        if (!ended) return;
        const value = { ...ended.value as object, state: "running" };
        op.mutations.push({ kind: "set", key: ended.key, value });
      }),
  },
  {
    name: "a slot gets two tasks",
    story: LIFE,
    finds: /one task a slot/,
    install: (sim) =>
      onTasks(sim, (task, op) => {
        const id = `${task.id.slice(0, -1)}z`;
        op.mutations.push({ kind: "set", key: ["task", id], value: { ...task, id } });
      }),
  },
  {
    name: "everything is placed on one node",
    story: CROWD,
    finds: /capacity and ports|foreign|lacks task|node's list/,
    install(sim) {
      let nodeId: string | undefined;
      onTasks(sim, (task, op) => {
        if (task.nodeId === undefined) return;
        nodeId ??= task.nodeId;
        for (const m of op.mutations) {
          if (m.kind !== "set") continue;
          if (m.key[0] === "task" && m.key[1] === task.id) m.value = { ...task, nodeId };
          if (m.key[0] === "assign" && m.key[2] === task.id) m.key = ["assign", nodeId, task.id];
        }
      });
    },
  },
  {
    name: "a lost task is forgotten to be ended",
    story: LOSS,
    finds: /one task a slot|capacity|node's list|convergence/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "task") continue;
          const { ended, ...task } = m.value as TaskValue;
          if (ended === "lost") m.value = task;
        }
      }),
  },
  {
    name: "a task moves to another node",
    story: LIFE,
    finds: /moved from node/,
    install: (sim) =>
      onRewrites(sim, (task) => {
        const other = nodeIds(sim).find((id) => id !== task.nodeId);
        return task.nodeId === undefined || other === undefined ? task : { ...task, nodeId: other };
      }),
  },
  {
    name: "a task that is stopped is told to run again",
    story: LOSS,
    finds: /is to run again/,
    install: (sim) =>
      onRewrites(
        sim,
        (task, before) => before.desired === "stop" ? { ...task, desired: "run" } : task,
      ),
  },
  {
    name: "a task lands on a node that was not chosen",
    story: CROWD,
    finds: /nodes have what they may|capacity and ports/,
    install: (sim) =>
      onTasks(sim, (task, op, chance) => {
        const other = nodeIds(sim).findLast((id) => id !== task.nodeId);
        if (task.nodeId === undefined || other === undefined || !chance(0.5)) return;
        for (const m of op.mutations) {
          if (m.kind === "set" && m.key[0] === "task" && m.key[1] === task.id) {
            m.value = { ...task, nodeId: other };
          }
          if (m.key[0] === "assign" && m.key[2] === task.id) m.key = ["assign", other, task.id];
        }
      }),
  },
  {
    name: "a task is purged while it lives",
    story: LIFE,
    finds: /is purged while/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        if (!isLeaders(op) || !chance(0.3)) return;
        const live = rowsOf(sim, "observed").find(({ value }) =>
          (value as { state: string }).state === "running"
        );
        if (live) op.mutations.push({ kind: "delete", key: ["task", String(live.key[1])] });
      }),
  },
  {
    name: "a report takes a task back to where it was",
    story: LIFE,
    finds: /went from/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "observed") continue;
          const before = sim.database.mirror.get(m.key.join("/"))?.value as { state: string };
          if (before?.state === "running") m.value = { ...m.value as object, state: "starting" };
        }
      }),
  },
  {
    name: "attempts are counted backwards",
    story: LIFE,
    finds: /attempts only grow/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "observed") continue;
          const before = sim.database.mirror.get(m.key.join("/"))?.value as { attempt: number };
          const seen = m.value as { attempt: number };
          if (before?.attempt > 1 && seen.attempt > 1) m.value = { ...seen, attempt: 1 };
        }
      }),
  },
  {
    name: "what was seen of a task stays when it is purged",
    story: LIFE,
    finds: /observed.* has no task/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "observed"))),
  },
  {
    name: "a time of a schedule is run twice",
    story: WORK,
    finds: /and again in/,
    install: (sim) =>
      onTasks(sim, (task, op) => {
        if (!task.run) return;
        const copy = { ...task, id: `${task.id.slice(0, -1)}z`, slot: task.slot + 1 };
        op.mutations.push({ kind: "set", key: ["task", copy.id], value: copy });
      }),
  },
  {
    name: "a task is stopped without a reason",
    story: LIFE,
    finds: /for no stated reason/,
    install: (sim) =>
      onRewrites(
        sim,
        ({ why, ...task }) => task.desired === "stop" ? task : { ...task, ...(why ? { why } : {}) },
      ),
  },
  {
    name: "draining nodes keep their tasks",
    story: MOVE,
    finds: /convergence/,
    install: (sim) =>
      onRewrites(sim, (task, before) => /drain/.test(task.why ?? "") ? before : task),
  },
  {
    name: "old revisions are never replaced",
    story: LIFE,
    finds: /convergence/,
    install: (sim) =>
      onRewrites(
        sim,
        (task, before) => /replaced by revision/.test(task.why ?? "") ? before : task,
      ),
  },
  {
    name: "whoever is in the way is stopped, whatever its priority",
    story: MOVE,
    finds: /priorities/,
    install: (sim) =>
      onRewrites(sim, (task, before) => {
        if (task.desired !== "stop" || before.desired === "stop") return task;
        const names = rowsOf(sim, "service").map(({ value }) =>
          value as { id: string; name: string }
        );
        const own = names.find(({ id }) => id === task.serviceId)?.name;
        return { ...task, why: `preempted by ${own}.1, which has priority 0` };
      }),
  },
];
