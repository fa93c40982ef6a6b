/**
 * What users were told is done is done, stays done, and is done once.
 *
 * - A service or node spec changes only while a request for that very change is being handled by the
 *   replica that commits it; a service goes only after it was asked to.
 * - An answer of success names a version whose row is what the request asked for.
 * - Requests with one idempotency key have one effect together.
 *
 * @module
 */
import type { Answer, Delivery, Rule, RuleContext } from "../checker.ts";
import type { Change, Commit, Facts, ServiceRow } from "../facts.ts";

interface Request {
  method: string;
  /** The last parts of the path. */
  kind: "service" | "node_spec" | "join" | "other";
  ref: string;
  body: Record<string, unknown>;
  key: string | undefined;
}

export function writes({ facts, broken }: RuleContext): Rule {
  const running = new Map<Delivery, Request>();
  /** Idempotency keys that had their effect. */
  const spent = new Set<string>();
  /** Service rows by version, with their templates. */
  const versions = new Map<string, { row: ServiceRow; template: unknown }>();

  function checkService({ by, changes }: Commit, { key: [, id], before, after }: Change): void {
    const [was, is] = [before as ServiceRow | undefined, after as ServiceRow | undefined];
    if (!is) {
      if (!was?.deleting) broken(`service ${was?.name} (${id}) is gone, nobody asked for it`);
      return;
    }
    if (retired(was, is)) return;
    const use = changes.find((change) => change.key[0] === "idempotency")?.key[2];
    const asked = [...running].some(([delivery, request]) =>
      delivery.replica === by && request.kind === "service" && request.key === use &&
      (request.method === "POST" ? !was : was !== undefined) &&
      asks(request, is, templateOf(facts, is))
    );
    if (!asked) broken(`service ${is.name} (${id}) changed, and no request asks for it now`);
    if (use === undefined) return;
    if (spent.has(String(use))) broken(`the request of ${use} on ${is.name} took effect twice`);
    spent.add(String(use));
  }

  return {
    commit(commit) {
      const { by, versionstamp } = commit;
      for (const change of commit.changes) {
        const { key, before, after } = change;
        const id = String(key[1]);
        if (key[0] === "service") {
          checkService(commit, change);
          if (after === undefined) continue;
          const row = after as ServiceRow;
          versions.set(`${id}@${versionstamp}`, { row, template: templateOf(facts, row) });
        } else if (key[0] === "node_spec" && after !== undefined) {
          const asked = [...running].some(([delivery, request]) =>
            delivery.replica === by && (request.kind === "join" && before === undefined ||
              request.kind === "node_spec" && contains(after, request.body))
          );
          if (!asked) broken(`the spec of node ${id} changed, and no request asks for it now`);
        }
      }
    },
    requestBegins(delivery) {
      running.set(delivery, requestOf(delivery));
    },
    requestEnds(delivery, answer) {
      const request = running.get(delivery);
      // Of a replica that died, a commit may still be on its way.
      if (answer) running.delete(delivery);
      if (request?.kind !== "service" || request.method === "GET" || !answer) return;
      if (answer.status >= 300 || isReplay(answer)) return;
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

function requestOf({ sent }: Delivery): Request {
  const path = new URL(sent.path).pathname.split("/").slice(2);
  const [room, ref = "", part] = path;
  const kind = room === "services"
    ? "service"
    : room === "nodes" && ref === "join"
    ? "join"
    : room === "nodes" && part === "spec"
    ? "node_spec"
    : "other";
  const key = sent.headers.find(([name]) => name === "idempotency-key")?.[1];
  const parsed = kind === "other" || sent.body === "" ? {} : JSON.parse(sent.body);
  return { method: sent.method, kind, ref, body: parsed, key };
}

function isReplay({ headers }: Answer): boolean {
  return headers.some(([name]) => name === "idempotent-replay");
}
