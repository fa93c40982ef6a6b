/**
 * Bugs to build into a simulation, to see that the checker finds them. Each is one entry of the table,
 * put between the real parts; none is in the program.
 *
 * @module
 */
import type { Mutation, Operation } from "../support/kv_operation.ts";
import type { Sim } from "./sim.ts";

export interface Plant {
  name: string;
  /** What the checker must say: a part of it. */
  finds: RegExp;
  install(sim: Sim): void;
}

type SetMutation = Extract<Mutation, { kind: "set" }>;
type TaskValue = { id: string; slot: number; nodeId?: string; ended?: string };

export const PLANTS: readonly Plant[] = [
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
    name: "an answer to a poll lacks a task",
    finds: /which it was told to run/,
    install(sim) {
      const random = sim.random("plant");
      sim.network.tamper = ({ sent }, answer) => {
        if (!sent.path.includes("/assignments") || answer.status !== 200) return answer;
        const body = JSON.parse(answer.body);
        if (!Array.isArray(body.assignments) || !random.chance(0.2)) return answer;
        return {
          ...answer,
          body: JSON.stringify({ ...body, assignments: body.assignments.slice(1) }),
        };
      };
    },
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
    name: "engines do not remove containers",
    finds: /orphan/,
    install(sim) {
      sim.prepareNode = ({ engine }) => {
        engine.remove = () => {};
      };
    },
  },
  {
    name: "beats are not written",
    finds: /is taken for|is down|is unknown|convergence/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "beat")),
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
function onTasks(sim: Sim, change: (task: TaskValue, op: Operation) => void): void {
  onCommits(sim, (op) => {
    const created = op.mutations.filter((m): m is SetMutation =>
      m.kind === "set" && m.key[0] === "task" && !sim.database.mirror.has(m.key.join("/"))
    );
    for (const { value } of created) change(value as TaskValue, op);
  });
}

function drop(op: Operation, which: (mutation: Mutation) => boolean): void {
  op.mutations = op.mutations.filter((mutation) => !which(mutation));
}
