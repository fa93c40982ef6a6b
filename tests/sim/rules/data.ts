/**
 * Configs, secrets and volumes: a new version reaches every service that refers to it, a container has
 * the version that its task's revision was made with, and tasks go where their volumes are.
 *
 * A user who goes back to an earlier revision wants what that was made with, also if there are newer
 * versions. If the revision before did not refer to them, a rotation has nothing to do with it.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { Facts, ServiceRow, TaskRow } from "../facts.ts";

interface SealedRow {
  id: string;
  kind: "config" | "secret";
  name: string;
  version: number;
}

export function data({ facts, broken }: RuleContext): Rule {
  /** The newest version that a service got by a revision, as `service/sealed`. */
  const newest = new Map<string, number>();
  /** Versions that services went back without, as `service/sealed@version`. */
  const wantedOld = new Set<string>();

  /** Notes what a service refers to again since its user went back to an earlier revision. */
  function noteUndo(was: ServiceRow, is: ServiceRow): void {
    for (const row of facts.rows("sealed").values() as Iterable<SealedRow>) {
      if (refersTo(facts, was, row) || !refersTo(facts, is, row)) continue;
      wantedOld.add(`${is.id}/${row.id}@${row.version}`);
    }
  }

  function checkRotation(row: SealedRow): void {
    for (const service of facts.services()) {
      if (service.deleting || service.mode.type === "job" || !refersTo(facts, service, row)) {
        continue;
      }
      const name = `${service.id}/${row.id}`;
      if ((newest.get(name) ?? 0) >= row.version) continue;
      if (wantedOld.has(`${name}@${row.version}`)) continue;
      broken(`${row.name} is rotated to ${row.version}, and ${service.name} never got it`);
    }
  }

  function checkVolumes(task: TaskRow): void {
    for (const [name, id] of facts.volumesOf(task)) {
      const nodes = facts.volumeNodes(id);
      if (nodes.length === 1 && nodes[0] === task.nodeId) continue;
      broken(`task ${task.id} is on ${task.nodeId}, its volume ${name} on ${nodes.join(" and ")}`);
    }
  }

  return {
    commit({ changes }) {
      const made = new Set<string>();
      for (const { key, after } of changes) {
        if (key[0] !== "revision" || after === undefined) continue;
        made.add(`${key[1]}/${key[2]}`);
        for (const { id, version } of pinsOf(facts, String(key[1]), Number(key[2]))) {
          const name = `${key[1]}/${id}`;
          newest.set(name, Math.max(version, newest.get(name) ?? 0));
        }
      }
      for (const { key, before, after } of changes) {
        if (key[0] === "service" && before !== undefined && after !== undefined) {
          const [was, is] = [before as ServiceRow, after as ServiceRow];
          if (is.revision !== was.revision && !made.has(`${is.id}/${is.revision}`)) {
            noteUndo(was, is);
          }
        } else if (key[0] === "rotation" && after === undefined) {
          const row = facts.rows("sealed").get(`${key[1]}/${key[2]}`);
          if (row !== undefined) checkRotation(row as SealedRow);
        } else if (key[0] === "task") {
          const [was, is] = [before as TaskRow | undefined, after as TaskRow | undefined];
          if (is?.nodeId !== undefined && was?.nodeId === undefined) checkVolumes(is);
        }
      }
    },
  };
}

/** A container that runs, and the files that it was started with. */
export interface Filled {
  taskId: string;
  files: ReadonlyMap<string, Uint8Array>;
}

/** Containers that have another value than their task's revision was made with. */
export function misfilled(facts: Facts, containers: readonly Filled[]): string[] {
  return containers.flatMap(({ taskId, files }) => {
    const task = facts.task(taskId);
    const pins = task ? pinsOf(facts, task.serviceId, task.revision) : [];
    const found = [...files.values()].map((bytes) => bytes.toBase64());
    return pins.flatMap(({ id, version }) => {
      const value = facts.values.get(`${id}@${version}`);
      const has = value === undefined || found.includes(value);
      return has ? [] : [`task ${taskId} does not have version ${version} of ${id}`];
    });
  });
}

function pinsOf(facts: Facts, serviceId: string, revision: number) {
  const { configs = {}, secrets = {} } = facts.resolved(serviceId, revision) ?? {};
  return [...Object.values(configs), ...Object.values(secrets)];
}

function refersTo(facts: Facts, { id, revision }: ServiceRow, { kind, name }: SealedRow): boolean {
  const template = facts.template(id, revision);
  return template?.[`${kind}s`]?.some(({ source }) => source === name) ?? false;
}
