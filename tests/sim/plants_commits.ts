/**
 * Planted bugs in what is committed.
 *
 * @module
 */
import type { Mutation, Operation } from "../support/kv_operation.ts";
import type { Row } from "./database.ts";
import type { Plant } from "./plants.ts";
import type { Sim } from "./sim.ts";

type SetMutation = Extract<Mutation, { kind: "set" }>;
type TaskValue = {
  id: string;
  serviceId: string;
  slot: number;
  desired: string;
  nodeId?: string;
  ended?: string;
  why?: string;
  run?: { scheduledAt: string };
};

export const COMMIT_PLANTS: readonly Plant[] = [
  {
    name: "leader commits do not check the epoch",
    finds: /the leader of epoch|the log goes from/,
    install: (sim) =>
      onCommits(sim, (op) => {
        const takesOver = op.mutations.some(({ key }) => key.join("/") === "leader/epoch");
        if (takesOver) return;
        op.checks = op.checks.filter(({ key }) => key.join("/") !== "leader/epoch");
      }),
  },
  {
    name: "an assignment row gets lost",
    finds: /lacks task|is not in its node's list/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        drop(op, (m) => m.kind === "set" && m.key[0] === "assign" && chance(0.1));
      }),
  },
  {
    name: "a late report overwrites the end of a task",
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
    name: "a wake-up gets lost",
    finds: /convergence/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "set" && m.key[0] === "queue")),
  },
  {
    name: "a record of the log gets lost",
    finds: /the log goes from/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        drop(op, (m) => m.kind === "set" && m.key[0] === "log" && chance(0.05));
      }),
  },
  {
    name: "idempotency keys are not recorded",
    finds: /acknowledged writes/,
    install: (sim) =>
      onCommits(sim, (op) => {
        drop(op, (m) => m.key[0] === "idempotency");
        op.checks = op.checks.filter(({ key }) => key[0] !== "idempotency");
      }),
  },
  {
    name: "a slot gets two tasks",
    finds: /one task a slot/,
    install: (sim) =>
      onTasks(sim, (task, op) => {
        const id = `${task.id.slice(0, -1)}z`;
        op.mutations.push({ kind: "set", key: ["task", id], value: { ...task, id } });
      }),
  },
  {
    name: "everything is placed on one node",
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
    name: "an acknowledged change is not stored",
    finds: /acknowledged writes/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        const leaders = op.mutations.some(({ key }) => key[0] === "log");
        if (!leaders) drop(op, (m) => m.key[0] === "service" && chance(0.2));
      }),
  },
  {
    name: "beats are not written",
    finds: /is taken for|is down|is unknown|convergence/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "beat")),
  },
  {
    name: "a task moves to another node",
    finds: /moved from node/,
    install: (sim) =>
      onRewrites(sim, (task) => {
        const other = nodeIds(sim).find((id) => id !== task.nodeId);
        return task.nodeId === undefined || other === undefined ? task : { ...task, nodeId: other };
      }),
  },
  {
    name: "a task that is stopped is told to run again",
    finds: /is to run again/,
    install: (sim) =>
      onRewrites(
        sim,
        (task, before) => before.desired === "stop" ? { ...task, desired: "run" } : task,
      ),
  },
  {
    name: "a task lands on a node that was not chosen",
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
    finds: /is purged while/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        if (!isLeaders(op) || !chance(0.05)) return;
        const live = rowsOf(sim, "observed").find(({ value }) =>
          (value as { state: string }).state === "running"
        );
        if (live) op.mutations.push({ kind: "delete", key: ["task", String(live.key[1])] });
      }),
  },
  {
    name: "a report takes a task back to where it was",
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
    name: "a task's entry in its service's list stays",
    finds: /task_of.* has no task/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "task_of"))),
  },
  {
    name: "what was seen of a task stays when it is purged",
    finds: /observed.* has no task/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "observed"))),
  },
  {
    name: "a wake-up is never done with",
    finds: /waits in the queue/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "queue"))),
  },
  {
    name: "an epoch is skipped",
    finds: /the epoch went from/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key.join("/") !== "leader/epoch") continue;
          const row = m.value as { epoch: number };
          m.value = { ...row, epoch: row.epoch + 1 };
        }
      }),
  },
  {
    name: "a service disappears",
    finds: /is gone, nobody asked for it/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        if (!isLeaders(op) || !chance(0.05)) return;
        const [service] = rowsOf(sim, "service");
        if (service) op.mutations.push({ kind: "delete", key: service.key });
      }),
  },
  {
    name: "a time of a schedule is run twice",
    finds: /and again in/,
    install: (sim) =>
      onTasks(sim, (task, op) => {
        if (!task.run) return;
        const copy = { ...task, id: `${task.id.slice(0, -1)}z`, slot: task.slot + 1 };
        op.mutations.push({ kind: "set", key: ["task", copy.id], value: copy });
      }),
  },
  {
    name: "a schedule's cursor goes back",
    finds: /the cursor of .* goes back/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "run_cursor" || !chance(0.3)) continue;
          m.value = { ...m.value as object, lastScheduledAt: "2001-01-01T00:00:00.000Z" };
        }
      }),
  },
  {
    name: "a task is stopped without a reason",
    finds: /for no stated reason/,
    install: (sim) =>
      onRewrites(
        sim,
        ({ why, ...task }) => task.desired === "stop" ? task : { ...task, ...why ? { why } : {} },
      ),
  },
  {
    name: "draining nodes keep their tasks",
    finds: /convergence/,
    install: (sim) =>
      onRewrites(sim, (task, before) => /drain/.test(task.why ?? "") ? before : task),
  },
  {
    name: "a removed node leaves its spec behind",
    finds: /node_spec.* has no node/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "node_spec"))),
  },
  {
    name: "a run by hand is not stored",
    finds: /acknowledged and is not stored/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "set" && m.key[0] === "run")),
  },
  {
    name: "old revisions are never replaced",
    finds: /convergence/,
    install: (sim) =>
      onRewrites(
        sim,
        (task, before) => /replaced by revision/.test(task.why ?? "") ? before : task,
      ),
  },
  {
    name: "a record of the log says nothing",
    finds: /says nothing/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "log" || !chance(0.05)) continue;
          m.value = { ...m.value as object, events: [] };
        }
      }),
  },
  {
    name: "whoever is in the way is stopped, whatever its priority",
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

/** Changes what is committed, wherever the tasks' and users' rows are at stake. */
function onCommits(
  sim: Sim,
  change: (op: Operation, chance: (probability: number) => boolean) => void,
): void {
  const random = sim.random("plant");
  sim.database.tamper = (_, op) => change(op, (probability) => random.chance(probability));
}

/** Changes commits that create tasks. */
function onTasks(
  sim: Sim,
  change: (task: TaskValue, op: Operation, chance: (probability: number) => boolean) => void,
): void {
  onCommits(sim, (op, chance) => {
    const created = op.mutations.filter((m): m is SetMutation =>
      m.kind === "set" && m.key[0] === "task" && !sim.database.mirror.has(m.key.join("/"))
    );
    for (const { value } of created) change(value as TaskValue, op, chance);
  });
}

function drop(op: Operation, which: (mutation: Mutation) => boolean): void {
  op.mutations = op.mutations.filter((mutation) => !which(mutation));
}

/** Changes how a task is written that is there already. */
function onRewrites(sim: Sim, change: (task: TaskValue, before: TaskValue) => object): void {
  onCommits(sim, (op) => {
    for (const m of op.mutations) {
      const before = sim.database.mirror.get(m.key.join("/"))?.value;
      if (m.kind !== "set" || m.key[0] !== "task" || before === undefined) continue;
      m.value = change(m.value as TaskValue, before as TaskValue);
    }
  });
}

function isLeaders(op: Operation): boolean {
  return op.mutations.some(({ key }) => key[0] === "log");
}

function isDeletion(m: Mutation, kind: string): boolean {
  return m.kind === "delete" && m.key[0] === kind;
}

function rowsOf(sim: Sim, kind: string): Row[] {
  return [...sim.database.mirror.values()].filter(({ key }) => key[0] === kind);
}

function nodeIds(sim: Sim): string[] {
  return rowsOf(sim, "node").map(({ key }) => String(key[1]));
}
