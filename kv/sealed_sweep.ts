/**
 * Values that nobody can get any more: older versions that no revision refers to.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { Revision } from "./schema/service.ts";
import { Sealed, SealedKind } from "./schema/sealed.ts";
import { type Kv, listRows } from "./store.ts";

/**
 * The keys of old values. The newest versions are read before the revisions: whatever is newest then may
 * be taken up by a revision that is not there yet.
 */
export async function oldValues(kv: Kv): Promise<Deno.KvKey[]> {
  const newest = new Map<string, number>();
  for (const kind of SealedKind.options) {
    for await (const { row } of listRows(kv, prefix.allSealed(kind), Sealed)) {
      newest.set(`${kind}/${row.id}`, row.version);
    }
  }
  if (newest.size === 0) return [];
  const used = new Set<string>();
  for await (const { row: { resolved } } of listRows(kv, prefix.allRevisions(), Revision)) {
    for (const kind of SealedKind.options) {
      for (const { id, version } of Object.values(resolved?.[`${kind}s`] ?? {})) {
        used.add(`${kind}/${id}/${version}`);
      }
    }
  }
  const old: Deno.KvKey[] = [];
  for (const [path, version] of newest) {
    const [kind = "", id = ""] = path.split("/");
    const older = {
      start: key.sealedValue(kind, id, 0, 0),
      end: key.sealedValue(kind, id, version, 0),
    };
    for await (const entry of kv.list(older)) {
      if (!used.has(`${path}/${String(entry.key[3])}`)) old.push(entry.key);
    }
  }
  return old;
}
