/**
 * What never changes once written, kept in memory: a revision, and the name of a
 * service (an id is never given to another one, and a service keeps its name). Only presence is
 * remembered, never absence.
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

/** One per process. */
export function createImmutable(kv: Kv): Immutable {
  const known = new Lru<string, Revision>(REVISIONS);
  const pins = new Lru<string, string>(PINS); // Written once, so what is known stays true.
  const names = new Lru<string, ServiceName>(NAMES);

  async function revisions(refs: readonly RevisionRef[]): Promise<(Revision | undefined)[]> {
    const found = new Map<string, Revision>();
    const missing = new Map<string, RevisionRef>();
    for (const ref of refs) {
      const id = `${ref.serviceId}/${ref.revision}`;
      const row = known.get(id);
      if (row) found.set(id, row);
      else missing.set(id, ref);
    }
    const keys = [...missing.values()].map((ref) => key.revision(ref.serviceId, ref.revision));
    const rows = await getRows(kv, keys, Revision);
    [...missing.keys()].forEach((id, i) => {
      const row = rows[i]?.row;
      if (!row) return;
      known.set(id, row);
      found.set(id, row);
    });
    return refs.map((ref) => found.get(`${ref.serviceId}/${ref.revision}`));
  }

  async function digests(refs: readonly RevisionRef[]): Promise<(string | undefined)[]> {
    const nameOf = (ref: RevisionRef) => `${ref.serviceId}/${ref.revision}`;
    const missing = new Map<string, RevisionRef>();
    for (const ref of refs) if (!pins.get(nameOf(ref))) missing.set(nameOf(ref), ref);
    const found = await digestsOf(kv, [...missing.values()]);
    [...missing.keys()].forEach((id, i) => {
      const digest = found[i];
      if (digest !== undefined) pins.set(id, digest);
    });
    return refs.map((ref) => pins.get(nameOf(ref)));
  }

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
