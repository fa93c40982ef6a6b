/**
 * The database: reading rows of a schema, and naming what can go wrong with it.
 *
 * @module
 */
import type { z } from "zod";
import { conforms } from "./schema/conforms.ts";

/** What the rest of the program uses of Deno KV. Tests and the simulator wrap it. */
export type Kv = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic" | "watch" | "close">;

/** Deno KV's limits (one getMany; mutations and checks of one commit, denokv's being the smaller). */
export const LIMITS = { getMany: 10, mutations: 1000, checks: 10 } as const;

export interface StoreFailure {
  /** `full`: no room on the disk; `too-large`: over a limit of KV; `unavailable`: anything else. */
  kind: "full" | "too-large" | "unavailable";
  message: string;
}

/** Classifies what a KV operation threw; `undefined` for errors that are not the database's. */
export function storeFailure(error: unknown): StoreFailure | undefined {
  const message = messageOf(error);
  if (/disk is full|No space left|os error 28|disk quota/i.test(message)) {
    return { kind: "full", message: "the database's disk is full" };
  }
  if (/too large (for (read|write) )?\(max|Too many (mutations|checks)/i.test(message)) {
    return { kind: "too-large", message };
  }
  const ours =
    /database|sqlite|disk I\/O|BadResource|Bad resource ID|KV Connect|error sending request/i;
  return ours.test(message) ? { kind: "unavailable", message } : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A row with the versionstamp of its last write. */
export interface Versioned<T> {
  row: T;
  versionstamp: string;
}

/** Reads and parses one row. */
export async function getRow<S extends z.ZodType>(
  kv: Kv,
  key: Deno.KvKey,
  schema: S,
): Promise<Versioned<z.output<S>> | undefined> {
  return versionedOf(await kv.get(key), schema);
}

/** Reads and parses rows by key, ten a call (KV's limit), answers in the order of the keys. */
export async function getRows<S extends z.ZodType>(
  kv: Kv,
  keys: readonly Deno.KvKey[],
  schema: S,
): Promise<(Versioned<z.output<S>> | undefined)[]> {
  if (keys.length <= LIMITS.getMany) {
    const entries = keys.length === 0 ? [] : await kv.getMany<unknown[]>([...keys]);
    return entries.map((entry) => versionedOf(entry, schema));
  }
  const chunks: Deno.KvKey[][] = [];
  for (let at = 0; at < keys.length; at += LIMITS.getMany) {
    chunks.push(keys.slice(at, at + LIMITS.getMany));
  }
  const answers = await Promise.all(chunks.map((chunk) => kv.getMany(chunk)));
  return answers.flat().map((entry) => versionedOf(entry, schema));
}

/** Parses what was read; undefined when there is no such row. */
export function versionedOf<S extends z.ZodType>(
  entry: Deno.KvEntryMaybe<unknown>,
  schema: S,
): Versioned<z.output<S>> | undefined {
  if (entry.versionstamp === null) return undefined;
  return { row: parseRow(entry.key, entry.value, schema), versionstamp: entry.versionstamp };
}

/**
 * Reads entries ten a call, one call after the other: none is older than those before it.
 */
export async function getInOrder(
  kv: Kv,
  keys: readonly Deno.KvKey[],
): Promise<Deno.KvEntryMaybe<unknown>[]> {
  const entries: Deno.KvEntryMaybe<unknown>[] = [];
  for (let at = 0; at < keys.length; at += LIMITS.getMany) {
    entries.push(...await kv.getMany<unknown[]>(keys.slice(at, at + LIMITS.getMany)));
  }
  return entries;
}

export interface ListOptions {
  limit?: number;
  /** First key to read, inclusive; within the prefix. */
  start?: Deno.KvKey;
  reverse?: boolean;
}

/** Scans and parses the rows under a prefix, in key order. */
export async function* listRows<S extends z.ZodType>(
  kv: Kv,
  prefix: Deno.KvKey,
  schema: S,
  options: ListOptions = {},
): AsyncGenerator<Versioned<z.output<S>> & { key: Deno.KvKey }> {
  const { start, limit, reverse = false } = options;
  const batchSize = Math.min(limit ?? 500, 500);
  const entries = kv.list(
    start ? { prefix: [...prefix], start: [...start] } : { prefix: [...prefix] },
    {
      reverse,
      batchSize,
      ...(limit === undefined ? {} : { limit }),
    },
  );
  for await (const entry of entries) {
    yield {
      key: entry.key,
      row: parseRow(entry.key, entry.value, schema),
      versionstamp: entry.versionstamp,
    };
  }
}

/** Entries a batch of a scan: enough to be worth a call, few enough that the database is soon at the next. */
const SCAN_BATCH = 300;

/**
 * Scans the entries under a prefix in batches, in key order and unparsed: for reading all of many rows.
 * While one batch is worked on, the database reads the next.
 */
export async function* scanBatches(
  kv: Kv,
  prefix: Deno.KvKey,
): AsyncGenerator<Deno.KvEntry<unknown>[]> {
  const entries = kv.list({ prefix: [...prefix] }, { batchSize: SCAN_BATCH });
  const ahead = () => {
    const next = entries.next();
    // Whoever stops early leaves it unread; who goes on gets its error from the original.
    next.catch(() => {});
    return next;
  };
  let next = await entries.next();
  while (!next.done) {
    const batch = [next.value];
    while (batch.length < SCAN_BATCH) {
      next = await entries.next();
      if (next.done) break;
      batch.push(next.value);
    }
    const coming = ahead();
    yield batch;
    next = await coming;
  }
}

/** A row that does not parse was written by something else than this program: a bug, named. */
function parseRow<S extends z.ZodType>(key: Deno.KvKey, value: unknown, schema: S): z.output<S> {
  const parsed = readRow(value, schema);
  if (parsed.ok) return parsed.row;
  throw new Error(`read ${key.join("/")}: unexpected row, ${parsed.problem}`);
}

/** Frozen values, with the schema that they were seen to conform to. */
const conforming = new WeakMap<object, z.ZodType>();

/** What a stored value is by its schema, or what is wrong with it, with the field. */
export function readRow<S extends z.ZodType>(
  value: unknown,
  schema: S,
): { ok: true; row: z.output<S> } | { ok: false; problem: string } {
  // Kept rows (cached.ts) are frozen and come again: they are looked at once.
  const kept = typeof value === "object" && value !== null && Object.isFrozen(value);
  if (kept && conforming.get(value) === schema) return { ok: true, row: value as z.output<S> };
  if (conforms(schema, value)) {
    if (kept) conforming.set(value, schema);
    return { ok: true, row: value as z.output<S> };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, row: parsed.data };
  const where = parsed.error.issues[0];
  return { ok: false, problem: `${where?.path.join(".")}: ${where?.message}` };
}
