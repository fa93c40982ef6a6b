/**
 * The revisions of a service: which there are, and what changed from one to the next.
 *
 * @module
 */
import { digestsOf } from "./digests.ts";
import { key, prefix } from "./keys.ts";
import { done, type Outcome } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { sameValue } from "./same.ts";
import { goalOf, type RevisionView, Rollout } from "./schema/rollout.ts";
import { Revision, type TaskTemplate } from "./schema/service.ts";
import { isTerminal } from "./schema/task_state.ts";
import { findService, type ServiceRef } from "./service_reads.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import { getRow, type Kv } from "./store.ts";

/** The number of the newest revision, which is not the wanted one after an undo. */
export async function newestRevision(
  kv: Kv,
  service: { id: string; revision: number },
): Promise<number> {
  const newest = kv.list({ prefix: prefix.revisions(service.id) }, { limit: 1, reverse: true });
  for await (const entry of newest) return Math.max(service.revision, Number(entry.key.at(-1)));
  return service.revision;
}

/** The newest revision first. Old ones that nothing runs are swept, and missing here. */
export async function listRevisions(
  kv: Kv,
  ref: ServiceRef,
  query: PageQuery,
): Promise<Outcome<Page<RevisionView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 1);
  if (!cursor.ok) return cursor;
  const found = await findService(kv, ref);
  if (!found.ok) return found;
  const { row: service } = found.value;
  const [from] = cursor.value;
  const end = from === undefined ? {} : { end: key.revision(service.id, Number(from) + 1) };
  const scope = prefix.revisions(service.id);
  const rows: Revision[] = [];
  for await (
    const entry of kv.list({ prefix: scope, ...end }, { limit: query.limit + 1, reverse: true })
  ) {
    const row = Revision.safeParse(entry.value);
    if (row.success) rows.push(row.data);
  }
  const tasks = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(service.id)));
  const goal = goalOf(service, (await getRow(kv, key.rollout(service.id), Rollout))?.row);
  const digests = await digestsOf(kv, rows);
  const items = rows.slice(0, query.limit).map((row, i): RevisionView => {
    const before = rows[i + 1];
    const [digest, earlier] = [digests[i], digests[i + 1]];
    const changes = before
      ? [
        ...changesOf(before.template, row.template),
        ...pinChanges(before, row),
        ...digestChange(row, { digest, earlier }),
      ]
      : [];
    return {
      revision: row.revision,
      createdAt: row.createdAt,
      image: row.template.image,
      ...(digest === undefined ? {} : { digest }),
      current: row.revision === goal,
      tasks: tasks.filter(({ task, state }) =>
        task.revision === row.revision && !isTerminal(state)
      ).length,
      changes: before && changes.length === 0 ? ["restart"] : changes,
    };
  });
  const more = rows[query.limit];
  return done({ items, ...(more ? { next: encodeCursor([String(more.revision)]) } : {}) });
}

export async function getRevision(
  kv: Kv,
  serviceId: string,
  revision: number,
): Promise<Revision | undefined> {
  return (await getRow(kv, key.revision(serviceId, revision), Revision))?.row;
}

/** What differs between two templates, a phrase each. Values of variables may be secret: names only. */
export function changesOf(before: TaskTemplate, after: TaskTemplate): string[] {
  const changes: string[] = [];
  const [was, is] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  for (const field of new Set([...was.keys(), ...is.keys()])) {
    const [a, b] = [was.get(field), is.get(field)];
    if (sameValue(a, b)) continue;
    if (field === "env" || field === "labels") {
      changes.push(`${field} ${keyChanges(before[field], after[field])}`);
    } else if (typeof (a ?? b) === "object") {
      changes.push(a ? b ? field : `-${field}` : `+${field}`);
    } else changes.push(`${field} ${a ?? "-"} → ${b ?? "-"}`);
  }
  return changes.map((change) => change.slice(0, 300));
}

/** New versions of what both revisions name. */
function pinChanges(before: Revision, after: Revision): string[] {
  return (["secret", "config"] as const).flatMap((kind) => {
    const pins = after.resolved?.[`${kind}s`] ?? {};
    const earlier = before.resolved?.[`${kind}s`] ?? {};
    return Object.entries(pins).flatMap(([name, pin]) => {
      const was = earlier[name];
      return was && !sameValue(was, pin)
        ? [`${kind} ${name} version ${was.version} → ${pin.version}`]
        : [];
    });
  });
}

/** That the tag was looked up anew, and what came of it. */
function digestChange(
  { pull }: Revision,
  { digest, earlier }: { digest: string | undefined; earlier: string | undefined },
): string[] {
  if (digest !== undefined && earlier !== undefined && digest !== earlier) {
    return [`digest ${shortDigest(earlier)} → ${shortDigest(digest)}`];
  }
  return pull ? ["pulled anew"] : [];
}

function shortDigest(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}

/** `+ADDED -REMOVED ~CHANGED`. */
function keyChanges(before: Record<string, string>, after: Record<string, string>): string {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).sort().map((name) =>
    !Object.hasOwn(before, name)
      ? `+${name}`
      : !Object.hasOwn(after, name)
      ? `-${name}`
      : `~${name}`
  ).join(" ");
}
