/**
 * What never changes once written, kept in memory: a revision, and the name of a
 * service (an id is never given to another one, and a service keeps its name). Only presence is
 * remembered, never absence.
 *
 * What many ask for at the same time, as the nodes that are told of one commit do, is read once.
 *
 * @module
 */
import { digestsOf } from "./digests.ts";
import { key } from "./keys.ts";
import { Lru } from "./lru.ts";
import { Revision, Service, type TaskTemplate } from "./schema/service.ts";
import { getRows, type Kv } from "./store.ts";

export interface RevisionRef {
  serviceId: string;
  revision: number;
}

export interface ServiceName {
  project: string;
  name: string;
}

export interface Immutable {
  /** Revisions in the order of the references; `undefined` for those that are gone. */
  revisions(refs: readonly RevisionRef[]): Promise<(Revision | undefined)[]>;
  /** What the tags of their images stand for; `undefined` for those that are not settled. */
  digests(refs: readonly RevisionRef[]): Promise<(string | undefined)[]>;
  /** Their templates. */
  templates(refs: readonly RevisionRef[]): Promise<(TaskTemplate | undefined)[]>;
  /** Names of services by id; those that are gone are absent. */
  serviceNames(ids: Iterable<string>): Promise<Map<string, ServiceName>>;
}

/** A revision may be 64 KiB, so this bounds the memory to 16 MiB at the very worst. */
const REVISIONS = 256;
const PINS = 10_000;
const NAMES = 10_000;

type Find<V> = (refs: readonly RevisionRef[]) => Promise<(V | undefined)[]>;

/** Finds what is remembered, reads the others, and remembers those that are there. */
function finder<V>(known: Lru<string, V>, read: Find<V>): Find<V> {
  const reading = new Map<string, Promise<V | undefined>>();
  const nameOf = (ref: RevisionRef) => `${ref.serviceId}/${ref.revision}`;

  function begin(missing: ReadonlyMap<string, RevisionRef>): void {
    const rows = read([...missing.values()]);
    for (const [i, name] of [...missing.keys()].entries()) {
      const one = rows.then((values) => {
        const value = values[i];
        if (value !== undefined) known.set(name, value);
        return value;
      }).finally(() => reading.delete(name));
      reading.set(name, one);
    }
  }

  return (refs) => {
    const missing = new Map<string, RevisionRef>();
    for (const ref of refs) {
      const name = nameOf(ref);
      if (known.get(name) === undefined && !reading.has(name)) missing.set(name, ref);
    }
    if (missing.size > 0) begin(missing);
    return Promise.all(refs.map((ref) => known.get(nameOf(ref)) ?? reading.get(nameOf(ref))));
  };
}

/** One per process. */
export function createImmutable(kv: Kv): Immutable {
  const known = new Lru<string, Revision>(REVISIONS);
  const pins = new Lru<string, string>(PINS); // Written once, so what is known stays true.
  const names = new Lru<string, ServiceName>(NAMES);

  const revisions = finder(known, async (refs) => {
    const keys = refs.map((ref) => key.revision(ref.serviceId, ref.revision));
    return (await getRows(kv, keys, Revision)).map((found) => found?.row);
  });
  const digests = finder(pins, (refs) => digestsOf(kv, refs));

  return {
    revisions,
    digests,
    templates: async (refs) => (await revisions(refs)).map((row) => row?.template),

    async serviceNames(ids) {
      const found = new Map<string, ServiceName>();
      const missing: string[] = [];
      for (const id of new Set(ids)) {
        const known = names.get(id);
        if (known) found.set(id, known);
        else missing.push(id);
      }
      const rows = await getRows(kv, missing.map((id) => key.service(id)), Service);
      missing.forEach((id, i) => {
        const row = rows[i]?.row;
        if (!row) return;
        const name = { project: row.project, name: row.name };
        names.set(id, name);
        found.set(id, name);
      });
      return found;
    },
  };
}
