/**
 * Parts of the simulated database: an atomic operation that can be looked at, and a scan's answer.
 *
 * @module
 */
export interface Operation {
  checks: Deno.AtomicCheck[];
  mutations: Mutation[];
}

export type Mutation =
  | { kind: "set"; key: Deno.KvKey; value: unknown }
  | { kind: "delete"; key: Deno.KvKey };

/** The whole answer at once: a scan of this size is one snapshot in the real one too. */
export function iterate<T>(read: () => Promise<Deno.KvEntry<T>[]>): Deno.KvListIterator<T> {
  let entries: Deno.KvEntry<T>[] | undefined;
  let at = 0;
  const iterator: Deno.KvListIterator<T> = {
    cursor: "",
    async next() {
      entries ??= await read();
      const value = entries[at++];
      return value ? { done: false, value } : { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}

/** Collects an atomic operation, so that it can be looked at before it is committed. */
export class SimAtomic implements Deno.AtomicOperation {
  readonly #op: Operation = { checks: [], mutations: [] };

  constructor(
    private readonly run: (
      op: Operation,
    ) => Promise<Deno.KvCommitResult | Deno.KvCommitError>,
  ) {}

  check(...checks: Deno.AtomicCheck[]): this {
    this.#op.checks.push(...checks);
    return this;
  }
  set(key: Deno.KvKey, value: unknown, options?: { expireIn?: number }): this {
    if (options?.expireIn !== undefined) throw new Error("expireIn is not portable");
    this.#op.mutations.push({ kind: "set", key, value });
    return this;
  }
  delete(key: Deno.KvKey): this {
    this.#op.mutations.push({ kind: "delete", key });
    return this;
  }
  commit(): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    return this.run(this.#op);
  }
  mutate(): this {
    return unsupported("mutate");
  }
  sum(): this {
    return unsupported("sum");
  }
  min(): this {
    return unsupported("min");
  }
  max(): this {
    return unsupported("max");
  }
  enqueue(): this {
    return unsupported("enqueue");
  }
}

function unsupported(what: string): never {
  throw new Error(`the simulated database does not know ${what}: Berth does not use it`);
}
