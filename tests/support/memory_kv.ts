/**
 * A model of Deno KV: as much of it as Berth uses, in memory and without another thread, so that a
 * simulation need not wait for one. tests/kv/contract_test.ts holds it to the real one.
 *
 * Keys have parts that are strings and numbers; a commit has checks, sets and deletions.
 *
 * @module
 */
import type { Kv } from "../../kv/store.ts";
import { CollectedAtomic, type Operation } from "./kv_operation.ts";
import { LIMITS, readKey, refuseTooLarge } from "./memory_kv_limits.ts";
import { copyOf, encodeKey } from "./memory_kv_rows.ts";

interface Row {
  key: Deno.KvKey;
  value: unknown;
  versionstamp: string;
}

const DEFAULT_BATCH = 100;

/** An empty database. */
export function openMemoryKv(): Kv {
  const table = new Table();
  const watches = new Set<(keys: ReadonlySet<string>) => void>();
  let commits = 0;
  let closed = false;

  function open(): void {
    if (closed) throw new Deno.errors.BadResource("Bad resource ID");
  }

  function read<T>(key: Deno.KvKey): Deno.KvEntryMaybe<T> {
    const row = table.get(readKey(key));
    if (!row) return { key: [...key], value: null, versionstamp: null };
    return { key: [...key], value: copyOf(row.value) as T, versionstamp: row.versionstamp };
  }

  function getMany<T extends readonly unknown[]>(keys: readonly Deno.KvKey[]) {
    open();
    if (keys.length > LIMITS.readKeys) {
      throw new TypeError(`Too many ranges (max ${LIMITS.readKeys})`);
    }
    return keys.map((key) => read(key)) as { [K in keyof T]: Deno.KvEntryMaybe<T[K]> };
  }

  function commit({ checks, mutations }: Operation) {
    open();
    refuseTooLarge(checks, mutations);
    const holds = checks.every(({ key, versionstamp }) =>
      (table.get(encodeKey(key))?.versionstamp ?? null) === versionstamp
    );
    if (!holds) return { ok: false as const };
    const versionstamp = `${(++commits).toString(16).padStart(16, "0")}0000`;
    const touched = new Set<string>();
    for (const mutation of mutations) {
      const { key } = mutation;
      const name = encodeKey(key);
      touched.add(name);
      if (mutation.kind === "delete") table.delete(name);
      else table.set(name, { key, value: mutation.value, versionstamp });
    }
    for (const notify of watches) notify(touched);
    return { ok: true as const, versionstamp };
  }

  return {
    get: <T>(key: Deno.KvKey) => promised(() => (open(), read<T>(key))),
    getMany: <T extends readonly unknown[]>(keys: readonly Deno.KvKey[]) =>
      promised(() => getMany<T>(keys)),
    list: <T>(selector: Deno.KvListSelector, options: Deno.KvListOptions = {}) =>
      iterate<T>(table, selector, { options, open }),
    atomic: () => new CollectedAtomic((op) => promised(() => commit(op))),
    watch: <T extends readonly unknown[]>(keys: readonly Deno.KvKey[]) => {
      if (keys.length > LIMITS.readKeys) {
        throw new TypeError(`Too many keys (max ${LIMITS.readKeys})`);
      }
      return watch(keys, () => getMany<T>(keys), watches);
    },
    close() {
      open();
      closed = true;
    },
  };
}

/** What throws rejects, as with the real one. */
function promised<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => resolve(run()));
}

/** The rows in the order of their keys. */
class Table {
  readonly #names: string[] = [];
  readonly #rows = new Map<string, Row>();

  get(name: string): Row | undefined {
    return this.#rows.get(name);
  }
  set(name: string, row: Row): void {
    if (!this.#rows.has(name)) this.#names.splice(this.#at(name), 0, name);
    this.#rows.set(name, row);
  }
  delete(name: string): void {
    if (this.#rows.delete(name)) this.#names.splice(this.#at(name), 1);
  }
  /** The first rows from `start` on and before `end`; the last ones backwards when `reverse`. */
  range(start: string, end: string, options: { limit: number; reverse: boolean }): [string, Row][] {
    const { limit, reverse } = options;
    const [from, to] = [this.#at(start), this.#at(end)];
    const names = reverse
      ? this.#names.slice(Math.max(from, to - limit), to).reverse()
      : this.#names.slice(from, Math.min(to, from + limit));
    return names.flatMap((name) => {
      const row = this.#rows.get(name);
      return row ? [[name, row]] : [];
    });
  }
  /** Where a name is, or would be. */
  #at(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface ListScene {
  options: Deno.KvListOptions;
  open(): void;
}

/** One batch is one snapshot. */
function iterate<T>(
  table: Table,
  selector: Deno.KvListSelector,
  { options, open }: ListScene,
): Deno.KvListIterator<T> {
  const { limit = Infinity, reverse = false, batchSize = DEFAULT_BATCH } = options;
  if (options.cursor !== undefined) throw new Error("the model of the database knows no cursors");
  let { start, end } = boundsOf(selector);
  let left = limit;
  let batch: [string, Row][] = [];
  let over = false;
  function fill(): void {
    open();
    if (batchSize > LIMITS.listBatch) {
      throw new TypeError(`Too many entries (max ${LIMITS.listBatch})`);
    }
    const wanted = Math.min(batchSize, left);
    batch = table.range(start, end, { limit: wanted, reverse });
    over = batch.length < wanted;
    const last = batch.at(-1)?.[0];
    if (last === undefined) return;
    if (reverse) end = last;
    else start = `${last}\0`;
  }
  const iterator: Deno.KvListIterator<T> = {
    cursor: "",
    next: () =>
      promised(() => {
        if (left > 0 && batch.length === 0 && !over) fill();
        const [, row] = batch.shift() ?? [];
        if (!row || left-- <= 0) return { done: true, value: undefined };
        const { key, value, versionstamp } = row;
        return { done: false, value: { key: [...key], value: copyOf(value) as T, versionstamp } };
      }),
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}

function boundsOf(selector: Deno.KvListSelector): { start: string; end: string } {
  const prefix = "prefix" in selector ? encodeKey(selector.prefix) : undefined;
  const within = (key: Deno.KvKey, what: string): string => {
    const name = encodeKey(key);
    if (prefix !== undefined && (!name.startsWith(prefix) || name === prefix)) {
      throw new TypeError(`${what} key is not in the keyspace defined by prefix`);
    }
    return name;
  };
  const start = "start" in selector ? within(selector.start, "Start") : `${prefix ?? ""}\0`;
  const end = "end" in selector ? within(selector.end, "End") : `${prefix ?? ""}\xff`;
  return { start, end };
}

/** The state at once, then after each change; changes between two reads are told as one. */
function watch<T>(
  keys: readonly Deno.KvKey[],
  read: () => T,
  watches: Set<(touched: ReadonlySet<string>) => void>,
): ReadableStream<T> {
  const names = keys.map(encodeKey);
  let dirty = true;
  let wake = () => {};
  const notify = (touched: ReadonlySet<string>) => {
    if (!names.some((name) => touched.has(name))) return;
    dirty = true;
    wake();
  };
  watches.add(notify);
  return new ReadableStream<T>({
    async pull(controller) {
      while (!dirty) await new Promise<void>((resolve) => wake = resolve);
      dirty = false;
      controller.enqueue(read());
    },
    cancel() {
      watches.delete(notify);
      wake();
    },
  }, { highWaterMark: 0 });
}
