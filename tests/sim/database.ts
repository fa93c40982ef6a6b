/**
 * The one database of a simulation, the real Deno KV in memory or its model, behind a gate for each
 * process.
 *
 * 1. Operations run one after another in the order in which they were asked for, so that the same seed
 *    has the same history.
 * 2. Every commit that took effect is told to the observers, with what it changed, before anything else
 *    runs; the mirror is what the rows are.
 *
 * @module
 */
import type { Kv } from "../../kv/store.ts";
import { CollectedAtomic, type Operation } from "../support/kv_operation.ts";
import { freeze } from "../support/memory_kv_rows.ts";
import { NO_KV_FAULTS } from "./kv_faults.ts";
import { iterate } from "./operation.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";
import { allElseDone } from "./turn.ts";

export interface Row {
  key: Deno.KvKey;
  value: unknown;
  versionstamp: string;
}

export interface Change {
  key: Deno.KvKey;
  before: unknown;
  after: unknown;
}

/** One commit that took effect. Absent rows are `undefined`. */
export interface Commit {
  by: string;
  /** When it was asked for: what it says was decided by then. */
  askedMs: number;
  atMs: number;
  versionstamp: string;
  changes: Change[];
}

/** May change what a commit does: for planted bugs. */
export type Tamper = (by: string, op: Operation) => void;

const EPOCH_KEY = "leader/epoch";

export class Database {
  readonly mirror = new Map<string, Row>();
  faults = NO_KV_FAULTS;
  /** Delay of a watch's news in ms, at the most. */
  watchLagMs = 20;
  tamper: Tamper | undefined;
  #busy = 0;
  readonly #stamps = new Map<string, number>();
  #tail: Promise<unknown> = Promise.resolve();
  readonly #observers = new Set<(commit: Commit) => void>();
  readonly #watches = new Set<(keys: ReadonlySet<string>) => void>();

  constructor(
    private readonly kv: Kv,
    private readonly timeline: Timeline,
    private readonly random: Random,
  ) {}

  get busy(): boolean {
    return this.#busy > 0;
  }

  /** A name for a versionstamp that follows from the seed: which commit's it is. */
  nameOf(versionstamp: string): string {
    return `v${this.#stamps.get(versionstamp) ?? "?"}`;
  }

  /** Resolves when what was asked for so far is done. */
  settled(): Promise<unknown> {
    return this.#tail;
  }

  observe(observer: (commit: Commit) => void): void {
    this.#observers.add(observer);
  }

  /** The database as one process sees it. */
  open(process: Process): Kv {
    return {
      get: (key, options) => this.#ask(process, "get", () => this.kv.get(key, options)),
      getMany: (keys, options) => this.#ask(process, "get", () => this.kv.getMany(keys, options)),
      list: <T>(selector: Deno.KvListSelector, options?: Deno.KvListOptions) =>
        iterate(() =>
          this.#ask(process, "list", async () => {
            const entries: Deno.KvEntry<T>[] = [];
            for await (const entry of this.kv.list<T>(selector, options)) entries.push(entry);
            return entries;
          })
        ),
      atomic: () => new CollectedAtomic((op) => this.#commit(process, op)),
      watch: <T extends readonly unknown[]>(keys: readonly [...{ [K in keyof T]: Deno.KvKey }]) =>
        this.#watch<T>(process, keys),
      close() {},
    };
  }

  /** Somebody else writes: nobody is told, and the mirror keeps what the program wrote. */
  vandalise(key: Deno.KvKey, value: unknown): Promise<unknown> {
    return this.#run(() => this.kv.atomic().set(key, value).commit());
  }

  /** Puts back what the program wrote, unless it wrote since. */
  async restore(key: Deno.KvKey, vandalised: (value: unknown) => boolean): Promise<void> {
    await this.#run(async () => {
      const row = this.mirror.get(key.join("/"));
      const { value } = await this.kv.get(key);
      if (row && vandalised(value)) await this.kv.atomic().set(key, row.value).commit();
    });
  }

  /** Every row as the real database has it, for comparing with the mirror. */
  async dump(): Promise<Map<string, unknown>> {
    const rows = new Map<string, unknown>();
    for await (const entry of this.kv.list({ prefix: [] })) {
      rows.set(entry.key.join("/"), entry.value);
    }
    return rows;
  }

  /**
   * Invariant 1. An operation takes as long as it takes, and other work of the event loop would go on
   * meanwhile; so it begins only when there is none.
   */
  #run<T>(run: () => Promise<T>): Promise<T> {
    this.#busy++;
    const result = this.#tail.then(allElseDone).then(run);
    this.#tail = result.then(() => this.#busy--, () => this.#busy--);
    return result;
  }

  #ask<T>(process: Process, what: string, run: () => Promise<T>): Promise<T> {
    return process.effect(`kv ${what}`, async () => {
      await this.#hitch(process, what);
      return await this.#run(run);
    });
  }

  async #hitch(process: Process, what: string): Promise<void> {
    const { faults, random } = this;
    if (this.timeline.nowMs < process.severedUntilMs) {
      await this.timeline.sleep(random.between(10, 200));
      throw new Error(`database connection broke (simulated, ${what} had no effect)`);
    }
    if (faults.full && what === "commit") {
      throw new Error("database or disk is full (simulated, the commit had no effect)");
    }
    if (faults.slow > 0 && random.chance(faults.slow)) {
      await this.timeline.sleep(random.between(0, 40));
    }
    if (faults.fail > 0 && random.chance(faults.fail)) {
      throw new Error(`database is locked (simulated, ${what} had no effect)`);
    }
  }

  #commit(process: Process, op: Operation): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    const askedMs = this.timeline.nowMs;
    return process.effect("kv commit", async () => {
      const { faults, random } = this;
      await this.#hitch(process, "commit");
      this.tamper?.(process.name, op);
      const guarded = op.checks.some((check) => check.key.join("/") === EPOCH_KEY);
      const refusable = op.checks.length > 0 && !guarded;
      if (refusable && faults.conflict > 0 && random.chance(faults.conflict)) return { ok: false };
      const result = await this.#run(() => this.#apply({ by: process.name, askedMs }, op));
      if (faults.unknown > 0 && random.chance(faults.unknown)) {
        throw new Error("database connection broke (simulated, the commit's outcome is unknown)");
      }
      return result;
    });
  }

  async #apply(
    origin: { by: string; askedMs: number },
    { checks, mutations }: Operation,
  ): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    let atomic = this.kv.atomic().check(...checks);
    for (const m of mutations) {
      // Rows are read far more often than written, by the checker, too.
      if (m.kind === "set") freeze(m.value);
      atomic = m.kind === "set" ? atomic.set(m.key, m.value) : atomic.delete(m.key);
    }
    const result = await atomic.commit();
    if (!result.ok) return result;
    const { versionstamp } = result;
    this.#stamps.set(versionstamp, this.#stamps.size + 1);
    const changes = new Map<string, Change>();
    for (const m of mutations) {
      const name = m.key.join("/");
      const before = changes.has(name) ? changes.get(name)?.before : this.mirror.get(name)?.value;
      const after = m.kind === "set" ? m.value : undefined;
      changes.set(name, { key: m.key, before, after });
      if (m.kind === "set") this.mirror.set(name, { key: m.key, value: after, versionstamp });
      else this.mirror.delete(name);
    }
    const atMs = this.timeline.nowMs;
    const commit = { ...origin, atMs, versionstamp, changes: [...changes.values()] };
    for (const observer of this.#observers) observer(commit);
    const touched = new Set(changes.keys());
    for (const notify of this.#watches) notify(touched);
    return result;
  }

  /** Coalesces as the real one does, and tells a little late. */
  #watch<T extends readonly unknown[]>(
    process: Process,
    keys: readonly Deno.KvKey[],
  ): ReadableStream<{ [K in keyof T]: Deno.KvEntryMaybe<T[K]> }> {
    const names = new Set(keys.map((key) => key.join("/")));
    let wake = () => {};
    let dirty = true;
    const notify = (touched: ReadonlySet<string>) => {
      if (![...names].some((name) => touched.has(name))) return;
      this.timeline.after(this.random.between(1, this.watchLagMs), () => {
        dirty = true;
        wake();
      });
    };
    this.#watches.add(notify);
    process.death.signal.addEventListener("abort", () => this.#watches.delete(notify));
    return new ReadableStream({
      pull: async (controller) => {
        while (!dirty) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        dirty = false;
        const entries = await process.effect(
          "kv watch",
          () => this.#run(() => this.kv.getMany<T>(keys as { [K in keyof T]: Deno.KvKey })),
        );
        controller.enqueue(entries);
      },
      cancel: () => void this.#watches.delete(notify),
    }, { highWaterMark: 0 });
  }
}
