/**
 * Rows kept in memory, where no other process can change them: what the API reads again and again it then
 * reads without the database. Transparent: a cached `Kv` answers what the database would.
 *
 * 1. Every commit goes through here, the leader's too. It takes its keys out of the cache before it begins,
 *    and while it goes on they are read from the database only: whoever saw one row of a commit never
 *    gets an older one from here.
 * 2. What was read is kept only if no commit of that key began meanwhile.
 * 3. Several keys are answered from the cache all together or not at all: `getMany` stays one snapshot.
 * 4. Kept rows are frozen, since many share them. That there is no row is kept as well.
 * 5. What was read is unchanged while the very entries that were read are kept: a commit takes them out
 *    before it begins. Lists are not kept, so who lists knows nothing.
 *
 * @module
 */
import { Lru } from "./lru.ts";
import type { Kv } from "./store.ts";

export interface CachedKv {
  /** Reads through the cache. */
  cached: Kv;
  /** Reads the database; its commits keep the cache true. For whoever reads each row once. */
  direct: Kv;
  /** Reads through the cache, and notes what: for whoever keeps what is made of it. */
  track(): TrackedKv;
}

export interface TrackedKv {
  kv: Kv;
  /** Whether the same reads would give the same now. */
  unchanged(): boolean;
}

type Entry = Deno.KvEntryMaybe<unknown>;

interface Kept {
  entry: Entry;
  /** Whether it is kept still. */
  here: boolean;
}

/** Rows of services, tasks and nodes are a few hundred bytes. */
const ROWS = 20_000;
/** Kinds that are listed, or read once, but never read again by key. */
const NOT_KEPT = new Set<Deno.KvKeyPart>([
  "queue",
  "queue_head",
  "log",
  "log_head",
  "task_of",
  "assign",
]);

/** Only for a database that no other process can open, and only if all in this one use the answer. */
export function cacheRows(kv: Kv): CachedKv {
  const rows = new Lru<string, Kept>(ROWS, (kept) => kept.here = false);
  /** Keys of commits under way, and how many of them. */
  const busy = new Map<string, number>();
  /** Reads under way, by key: a commit takes them out, and they are not kept (invariant 2). */
  const reading = new Map<string, symbol>();

  function begin(keys: ReadonlySet<string>): void {
    for (const name of keys) {
      rows.delete(name);
      reading.delete(name);
      busy.set(name, (busy.get(name) ?? 0) + 1);
    }
  }

  function end(keys: ReadonlySet<string>): void {
    for (const name of keys) {
      const left = (busy.get(name) ?? 1) - 1;
      if (left > 0) busy.set(name, left);
      else busy.delete(name);
    }
  }

  async function read(keys: readonly Deno.KvKey[]): Promise<Kept[]> {
    const names = keys.map(nameOf);
    const mine = Symbol();
    for (const name of names) {
      if (name !== undefined && !busy.has(name)) reading.set(name, mine);
    }
    const free = (name: string | undefined): name is string => {
      const still = name !== undefined && reading.get(name) === mine;
      if (still) reading.delete(name);
      return still;
    };
    let entries: Entry[];
    try {
      const [only] = keys;
      entries = keys.length === 1 && only
        ? [await kv.get(only)]
        : await kv.getMany<unknown[]>([...keys]);
    } catch (error) {
      names.forEach(free);
      throw error;
    }
    return entries.map((entry, i) => {
      const name = names[i];
      if (!free(name)) return { entry, here: false };
      const kept = { entry: freeze(entry), here: true };
      rows.set(name, kept);
      return kept;
    });
  }

  /** All of them, or nothing. */
  function kept(keys: readonly Deno.KvKey[]): Kept[] | undefined {
    const found: Kept[] = [];
    for (const key of keys) {
      const name = nameOf(key);
      const one = name === undefined ? undefined : rows.get(name);
      if (!one) return undefined;
      found.push(one);
    }
    return found;
  }

  const direct: Kv = {
    get: (key, options) => kv.get(key, options),
    getMany: (keys, options) => kv.getMany(keys, options),
    list: (selector, options) => kv.list(selector, options),
    watch: (keys, options) => kv.watch(keys, options),
    atomic: () => guarded(kv.atomic(), { begin, end }),
    close: () => kv.close(),
  };
  const answer = (keys: readonly Deno.KvKey[]) => kept(keys) ?? read(keys);
  const through = (ask: typeof answer): Kv => ({
    ...direct,
    get: (async (key: Deno.KvKey) => (await ask([key]))[0]?.entry) as Kv["get"],
    getMany:
      (async (keys: readonly Deno.KvKey[]) => (await ask(keys)).map(({ entry }) => entry)) as Kv[
        "getMany"
      ],
  });

  function track(): TrackedKv {
    const seen: Kept[] = [];
    let known = true;
    const kv = through(async (keys) => {
      const answered = await answer(keys);
      seen.push(...answered);
      return answered;
    });
    const giveUp = <A extends unknown[], T>(call: (...args: A) => T) => (...args: A) => {
      known = false;
      return call(...args);
    };
    return {
      kv: { ...kv, list: giveUp(kv.list) as Kv["list"], watch: giveUp(kv.watch) as Kv["watch"] },
      unchanged: () => known && seen.every(({ here }) => here), // (5)
    };
  }

  return { direct, cached: through(answer), track };
}

/** Has a commit tell which keys it changes, around the time that it takes. */
function guarded(
  op: Deno.AtomicOperation,
  { begin, end }: Record<"begin" | "end", (keys: ReadonlySet<string>) => void>,
): Deno.AtomicOperation {
  const keys = new Set<string>();
  const note = (key: Deno.KvKey) => {
    const name = nameOf(key);
    if (name !== undefined) keys.add(name);
  };
  const set = op.set.bind(op), remove = op.delete.bind(op), commit = op.commit.bind(op);
  return Object.assign(op, {
    set(key: Deno.KvKey, value: unknown, options?: { expireIn?: number }) {
      note(key);
      return set(key, value, options);
    },
    delete(key: Deno.KvKey) {
      note(key);
      return remove(key);
    },
    async commit() {
      begin(keys);
      try {
        return await commit();
      } finally {
        end(keys);
      }
    },
  });
}

/** The key as text; undefined for kinds that are not kept. */
function nameOf(key: Deno.KvKey): string | undefined {
  return NOT_KEPT.has(key[0] ?? "") ? undefined : key.join("/");
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    if (ArrayBuffer.isView(value)) return value;
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}
