/**
 * Planted bugs around restarts, removals, credentials and routes.
 *
 * @module
 */
import type { Row } from "./database.ts";
import type { Plant } from "./plants.ts";
import { OPERATIONS } from "./stories/operations.ts";
import { drop, isDeletion, onCommits, rowsOf, type TaskValue } from "./tamper.ts";

export const OPERATION_PLANTS: readonly Plant[] = [
  {
    name: "a restart of a task is acknowledged and forgotten",
    story: OPERATIONS,
    finds: /was to be restarted, and goes on/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "task_restarts")),
  },
  {
    name: "another task is restarted as well",
    story: OPERATIONS,
    finds: /is to be restarted, and nobody asks for it/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "task_restarts") continue;
          const ids = rowsOf(sim, "task").map(({ value }) => (value as TaskValue).id);
          m.value = { tasks: ids };
        }
      }),
  },
  {
    name: "a restart changes what the service is",
    story: OPERATIONS,
    finds: /changed, and no request asks for it/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.kind !== "set" || m.key[0] !== "revision" || Number(m.key[2]) < 2) continue;
          const row = m.value as { template: object };
          m.value = { ...row, template: { ...row.template, env: { V: "another" } } };
        }
      }),
  },
  {
    name: "a config vanishes",
    story: OPERATIONS,
    finds: /is removed, and nobody asks for it/,
    install: (sim) =>
      onCommits(sim, (op) => {
        const unused = rowsOf(sim, "sealed").find(isConfig("k2"));
        const runs = op.mutations.some(({ key }) => key[0] === "observed");
        if (unused && runs) op.mutations.push({ kind: "delete", key: unused.key });
      }),
  },
  {
    name: "a config goes with another one, though a task has it",
    story: OPERATIONS,
    finds: /config k1 is removed, and task \w+ has it/,
    install: (sim) =>
      onCommits(sim, (op) => {
        const used = rowsOf(sim, "sealed").find(isConfig("k1"));
        const removes = op.mutations.some((m) => isDeletion(m, "sealed"));
        if (used && removes) op.mutations.unshift({ kind: "delete", key: used.key });
      }),
  },
  {
    name: "credentials are acknowledged and not stored",
    story: OPERATIONS,
    finds: /were acknowledged and are not stored/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "registry")),
  },
  {
    name: "a node is told a password that nobody stored",
    story: OPERATIONS,
    finds: /is told credentials that nobody stored/,
    install(sim) {
      sim.tamperServe = ({ path, status }, answer) => {
        if (!path.endsWith("/login") || status !== 200) return answer;
        const { login } = JSON.parse(answer.body);
        return login
          ? { ...answer, body: JSON.stringify({ login: { ...login, password: "old" } }) }
          : answer;
      };
    },
  },
  {
    name: "what a tag stands for is not settled",
    story: OPERATIONS,
    finds: /has image \S+, its revision's is/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "digest")),
  },
  {
    name: "a route is not noted as its service's",
    story: OPERATIONS,
    finds: /route \S+ is that of s1 and of s3/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "route")),
  },
];

function isConfig(name: string): (row: Row) => boolean {
  return ({ value }) => (value as { name: string }).name === name;
}
