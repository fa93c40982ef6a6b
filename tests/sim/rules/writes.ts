/**
 * What users were told is done is done, stays done, and is done once.
 *
 * - What is a user's (services, revisions asked back for, runs, node specs, restarts, removals) changes
 *   only while a request for that very change is being handled by the replica that commits it; a service
 *   goes only after it was asked to.
 * - An answer of success names a version whose row is what the request asked for.
 * - Requests with one idempotency key have one effect together.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { Change, Commit, Facts, ServiceRow } from "../facts.ts";
import { createRequests, type Kind, type Request } from "./requests.ts";

export function writes({ facts, broken }: RuleContext): Rule {
  const requests = createRequests();
  /** Idempotency keys that had their effect. */
  const spent = new Set<string>();
  /** Nodes that were removed, by name. */
  const removed = new Set<string>();
  /** Runs that were stored, by id. */
  const runs = new Set<string>();
  /** Versions of configs and secrets that were stored, as `id@version`. */
  const sealed = new Set<string>();
  /** Service rows by version, with their templates. */
  const versions = new Map<string, { row: ServiceRow; template: unknown }>();

  function spend(use: unknown, what: string): void {
    if (use === undefined) return;
    if (spent.has(String(use))) broken(`the request of ${use} on ${what} took effect twice`);
    spent.add(String(use));
  }

  /** Rows of users' that are written or deleted by one kind of request. */
  function checkRow(by: string, { key, before, after }: Change): void {
    const [row, id] = [String(key[0]), String(key[1])];
    const name = facts.service(id)?.name ?? (before as { name?: string } | undefined)?.name ?? id;
    const deleting = after === undefined;
    const wanted: Record<string, Kind | undefined> = {
      run: deleting ? undefined : "run",
      rollout_request: deleting ? undefined : "rollout",
      node: deleting ? "node" : undefined,
      node_restart: deleting ? undefined : "restart",
    };
    const kind = wanted[row];
    if (kind === undefined) return;
    if (row === "node") removed.add(id);
    const ok = requests.isAsked(by, (request) =>
      request.kind === kind && (kind === "restart" ||
        request.ref === name || request.ref === id));
    if (!ok) {
      broken(`${key.join("/")} is ${deleting ? "deleted" : "written"}, nobody asks for it now`);
    }
  }

  function checkService({ by, changes }: Commit, { key: [, id], before, after }: Change): void {
    const [was, is] = [before as ServiceRow | undefined, after as ServiceRow | undefined];
    if (!is) {
      if (!was?.deleting) broken(`service ${was?.name} (${id}) is gone, nobody asked for it`);
      return;
    }
    if (retired(was, is) || was && renewed(facts, was, is)) return;
    const use = changes.find((change) => change.key[0] === "idempotency")?.key[2];
    const asked = requests.isAsked(by, (request) => {
      if (request.key !== use) return false;
      if (request.kind === "rollout") {
        return was !== undefined && (undoes(request, was, is) || renews(facts, request, was, is));
      }
      return request.kind === "service" &&
        (request.method === "POST" ? !was : was !== undefined) &&
        asks(request, is, templateOf(facts, is));
    });
    if (!asked) broken(`service ${is.name} (${id}) changed, and no request asks for it now`);
    spend(use, is.name);
  }

  return {
    commit(commit) {
      const { by, versionstamp } = commit;
      for (const change of commit.changes) {
        const { key, before, after } = change;
        const id = String(key[1]);
        checkRow(by, change);
        if (key[0] === "sealed" && after !== undefined) {
          sealed.add(`${key[2]}@${(after as { version: number }).version}`);
        }
        if (key[0] === "run" && after !== undefined) {
          runs.add(String(key[2]));
          spend(commit.changes.find((one) => one.key[0] === "idempotency")?.key[2], `run of ${id}`);
        }
        if (key[0] === "service") {
          checkService(commit, change);
          if (after === undefined) continue;
          const row = after as ServiceRow;
          versions.set(`${id}@${versionstamp}`, { row, template: templateOf(facts, row) });
        } else if (key[0] === "node_spec" && after !== undefined) {
          const asked = requests.isAsked(
            by,
            (request) =>
              request.kind === "join" && before === undefined ||
              request.kind === "node_spec" && contains(after, request.body),
          );
          if (!asked) broken(`the spec of node ${id} changed, and no request asks for it now`);
        }
      }
    },
    requestBegins: (delivery) => void requests.begins(delivery),
    requestEnds(delivery, answer) {
      const request = requests.ends(delivery, answer);
      if (!request || !answer) return;
      if (request.kind === "node" && !removed.has(request.ref)) {
        broken(`node ${request.ref} was told to be removed and is not`);
      }
      if (request.kind === "run" && !runs.has(JSON.parse(answer.body).id)) {
        broken(`a run of ${request.ref} was acknowledged and is not stored`);
      }
      if (request.kind === "data" && request.method !== "DELETE") {
        const { id, version, name } = JSON.parse(answer.body);
        if (!sealed.has(`${id}@${version}`)) {
          broken(`version ${version} of ${name} was acknowledged and is not stored`);
        }
        facts.values.set(`${id}@${version}`, String(request.body.data));
      }
      if (request.kind !== "service") return;
      const { id, version } = JSON.parse(answer.body);
      const stored = versions.get(`${id}@${version}`);
      if (!stored || !asks(request, stored.row, stored.template)) {
        broken(
          `${request.method} ${request.ref} was answered ${answer.status} with version ` +
            `${version}, which is not what it asked for`,
        );
      }
    },
  };
}

/** The leader deletes a job that asked for it. */
function retired(before: ServiceRow | undefined, after: ServiceRow): boolean {
  return before?.mode.type === "job" && before.mode.removeAfterMs !== undefined &&
    !before.deleting && after.deleting && contains({ ...after, deleting: false }, {
      mode: before.mode,
      stopped: before.stopped,
      revision: before.revision,
    });
}

/** A new version of a config or secret makes a new revision of the same template. */
function renewed(facts: Facts, before: ServiceRow, after: ServiceRow): boolean {
  const { revision, updatedAt } = after;
  const same = { ...before, revision, updatedAt };
  const [was, is] = [templateOf(facts, before), templateOf(facts, after)];
  return facts.rows("rotation").size > 0 && revision > before.revision &&
    contains(same, after) && contains(after, same) && contains(was, is) && contains(is, was);
}

/** Whether the change is that of an undo: to another revision, and nothing else. */
function undoes({ body }: Request, before: ServiceRow, after: ServiceRow): boolean {
  // Which ports are published follows from the revision.
  const { revision, updatedAt, ingressPorts } = after;
  const same = { ...before, revision, updatedAt, ingressPorts };
  return body.action === "undo" && before.revision !== after.revision &&
    contains(same, after) && contains(after, same);
}

/** Whether the change is that of a restart: to a new revision that differs in nothing. */
function renews(facts: Facts, { body }: Request, before: ServiceRow, after: ServiceRow): boolean {
  const { revision, updatedAt, ingressPorts } = after;
  const same = { ...before, revision, updatedAt, ingressPorts };
  const [was, is] = [facts.template(before.id, facts.goal(before)), templateOf(facts, after)];
  return body.action === "restart" && revision > before.revision &&
    contains(same, after) && contains(after, same) && contains(was, is) && contains(is, was);
}

/** Whether a row is what a request asks for. */
function asks({ method, ref, body }: Request, row: ServiceRow, stored: unknown): boolean {
  if (method === "DELETE") return row.deleting && (row.name === ref || row.id === ref);
  const { template, stopped = false, ...rest } = body;
  return !row.deleting && row.stopped === stopped && contains(row, rest) &&
    contains(stored, template);
}

function templateOf(facts: Facts, { id, revision }: ServiceRow): unknown {
  return facts.template(id, revision);
}

/** Everything that `part` says is so in `whole`. */
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== "object" || part === null) return whole === part;
  if (typeof whole !== "object" || whole === null) return false;
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length &&
      part.every((item, i) => contains(whole[i], item));
  }
  return Object.entries(part).every(([name, value]) =>
    value === undefined || contains(Reflect.get(whole, name), value)
  );
}
