/**
 * Planted bugs in what is committed of everything else.
 *
 * @module
 */
import type { Plant } from "./plants.ts";
import { drop, hideEvents, isDeletion, isLeaders, onCommits, onEvents, rowsOf } from "./tamper.ts";
import { FIRST, LIFE, LOSS, MOVE, PORTS, PROBED, STALL, WORK } from "./stories/days.ts";

export const ROW_PLANTS: readonly Plant[] = [
  {
    name: "leader commits do not check the epoch",
    story: STALL,
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
    story: LIFE,
    finds: /lacks task|is not in its node's list/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        drop(op, (m) => m.kind === "set" && m.key[0] === "assign" && chance(0.4));
      }),
  },
  {
    name: "a wake-up gets lost",
    story: FIRST,
    finds: /convergence/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "set" && m.key[0] === "queue")),
  },
  {
    name: "a record of the log gets lost",
    story: LIFE,
    finds: /the log goes from/,
    install: (sim) =>
      onCommits(sim, (op) => {
        drop(op, (m) => m.kind === "set" && m.key[0] === "log" && Number(m.key[1]) % 3 === 0);
      }),
  },
  {
    name: "idempotency keys are not recorded",
    story: LIFE,
    finds: /acknowledged writes/,
    install: (sim) =>
      onCommits(sim, (op) => {
        drop(op, (m) => m.key[0] === "idempotency");
        op.checks = op.checks.filter(({ key }) => key[0] !== "idempotency");
      }),
  },
  {
    name: "idempotency keys are recorded where nobody looks",
    story: WORK,
    finds: /took effect twice/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.key[0] === "idempotency") m.key = ["idempotency", "nobody", ...m.key.slice(2)];
        }
      }),
  },
  {
    name: "an acknowledged change is not stored",
    story: LIFE,
    finds: /acknowledged writes/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        const leaders = op.mutations.some(({ key }) => key[0] === "log");
        if (!leaders) drop(op, (m) => m.key[0] === "service" && chance(0.5));
      }),
  },
  {
    name: "beats are not written",
    story: LOSS,
    finds: /is taken for|is down|is unknown|convergence/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "beat")),
  },
  {
    name: "a task's entry in its service's list stays",
    story: LIFE,
    finds: /task_of.* has no task/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "task_of"))),
  },
  {
    name: "a wake-up is never done with",
    story: LIFE,
    finds: /waits in the queue/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "queue"))),
  },
  {
    name: "an epoch is skipped",
    story: LIFE,
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
    story: LIFE,
    finds: /is gone, nobody asked for it/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        if (!isLeaders(op) || !chance(0.3)) return;
        const [service] = rowsOf(sim, "service");
        if (service) op.mutations.push({ kind: "delete", key: service.key });
      }),
  },
  {
    name: "where a schedule is gets forgotten",
    story: WORK,
    finds: /^schedules: /,
    install: (sim) =>
      onCommits(sim, (op) => {
        drop(op, ({ key }) => key[0] === "run_cursor" && sim.database.mirror.has(key.join("/")));
      }),
  },
  {
    name: "who has a port is forgotten",
    story: PORTS,
    finds: /port tcp\/8080 is that of s1 and of s2/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "port")),
  },
  {
    name: "a schedule's cursor goes back",
    story: WORK,
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
    name: "a removed node leaves its spec behind",
    story: MOVE,
    finds: /node_spec.* has no node/,
    install: (sim) => onCommits(sim, (op) => drop(op, (m) => isDeletion(m, "node_spec"))),
  },
  {
    name: "a run by hand is not stored",
    story: WORK,
    finds: /acknowledged and is not stored/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "set" && m.key[0] === "run")),
  },
  {
    name: "a record of the log says nothing",
    story: LIFE,
    finds: /says nothing/,
    install: (sim) =>
      onCommits(sim, (op, chance) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "log" || !chance(0.3)) continue;
          m.value = { ...m.value as object, events: [] };
        }
      }),
  },
  {
    name: "a state that a node reports is not told in the log",
    story: LIFE,
    finds: /1\/running.*, and the log does not say so/,
    install: (sim) =>
      onEvents(sim, ({ type, state }) => type === "task.state" && state === "running"),
  },
  {
    name: "that a task is ready is not told in the log",
    story: PROBED,
    finds: /1\/running, ready, and the log does not say so/,
    install: (sim) => onEvents(sim, ({ type, why }) => type === "task.ready" && why === "ready"),
  },
  {
    name: "what was reported before a leader began is not told in the log",
    story: STALL,
    finds: /the log does not say so/,
    install(sim) {
      const known = new Map<string, unknown>();
      sim.database.tamper = (_, op) => {
        if (op.mutations.some(({ key }) => key.join("/") === "leader/epoch")) {
          for (const { key, value } of rowsOf(sim, "observed")) known.set(String(key[1]), value);
        }
        hideEvents(op, ({ type, taskId, state }) => {
          const before = known.get(taskId ?? "") as { state: string } | undefined;
          return type === "task.state" && state !== undefined && before?.state === state;
        });
      };
    },
  },
];
