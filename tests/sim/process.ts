/**
 * A simulated process: its clock, and the gate through which all its effects pass. At the gate it may
 * die before or after an effect, or stand still for a while, as a real one may between any two lines.
 *
 * 1. A process that died has no further effect and learns nothing more: what it waits for never comes.
 * 2. A process that stands still has no effect and sees no time pass until it goes on. Who calls it waits,
 *    and it does not notice before that a caller is gone.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import type { Timeline } from "./timeline.ts";

/** What happens at the n-th effect from now on. */
export interface Fuse {
  left: number;
  /** Effects that count; all when absent. */
  only?: (what: string) => boolean;
  then: "die-before" | "die-after" | { stallMs: number };
}

/** A computer: what its processes share is its wall clock. */
export interface Machine {
  name: string;
  /** Its wall clock's error. */
  wallErrorMs: number;
}

/** When simulated time begins, on a wall clock without error. */
const EPOCH_MS = Date.UTC(2030, 0, 1);

/** A promise of its own each time: what waits for it is held by nothing else, and so is collected. */
function never(): Promise<never> {
  return new Promise(() => {});
}

export function wallMsOf(timeline: Timeline, machine: Machine): number {
  return Math.floor(EPOCH_MS + timeline.nowMs + machine.wallErrorMs);
}

export class Process {
  alive = true;
  fuse: Fuse | undefined;
  /** The database does not answer it until then, in virtual ms. */
  severedUntilMs = 0;
  readonly clock: Clock;
  /** Aborts when the process dies: its connections break. */
  readonly death = new AbortController();
  /** Aborts when the process is asked to end. */
  readonly stop = new AbortController();
  #stalled: Promise<void> | undefined;
  readonly #callers = new Set<() => void>();
  readonly #resets = new Map<Process, AbortSignal>();

  constructor(
    readonly name: string,
    readonly machine: Machine,
    private readonly options: {
      timeline: Timeline;
      /** What its monotonic clock shows when the simulation begins. */
      monoOffsetMs: number;
      onDeath: (process: Process, why: string) => void;
      onStall: (process: Process, ms: number) => void;
    },
  ) {
    const { timeline, monoOffsetMs } = options;
    this.clock = {
      wallMs: () => wallMsOf(timeline, machine),
      monoMs: () => timeline.nowMs + monoOffsetMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get stalled(): boolean {
    return this.#stalled !== undefined;
  }

  die(why: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.options.onDeath(this, why);
    this.death.abort();
    for (const fail of [...this.#callers]) fail();
  }

  /** Stands still from the next effect or timer on. */
  stall(ms: number): void {
    if (this.#stalled) return;
    this.options.onStall(this, ms);
    this.#stalled = this.options.timeline.sleep(ms).then(() => {
      this.#stalled = undefined;
    });
  }

  /** Has an effect on the world outside of the process, and learns what came of it. */
  async effect<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#stalled) await this.#stalled;
    if (!this.alive) return never();
    const then = this.#burn(what);
    if (then === "die-before") {
      this.die(`before ${what}`);
      return never();
    }
    if (typeof then === "object") {
      this.stall(then.stallMs);
      await this.#stalled;
      if (!this.alive) return never();
    }
    try {
      return await run();
    } finally {
      if (then === "die-after") this.die(`after ${what}`);
      if (this.#stalled) await this.#stalled;
      // Invariant 1: neither the value nor the error gets through.
      if (!this.alive) await never();
    }
  }

  /** Aborts when this process has died and the other one, which it called, notices. */
  resetFor(called: Process): AbortSignal {
    const known = this.#resets.get(called);
    if (known) return known;
    const reset = new AbortController();
    const notice = () => reset.abort();
    this.death.signal.addEventListener("abort", () => {
      if (called.#stalled) void called.#stalled.then(notice);
      else notice();
    }, { once: true });
    this.#resets.set(called, reset.signal);
    return reset.signal;
  }

  /** The world outside calls into the process; what it answers is lost if it dies meanwhile. */
  reachedBy<T>(answer: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(new TypeError(`connection reset: ${this.name} died`));
      if (!this.alive) return fail();
      this.#callers.add(fail);
      const answering = this.#stalled
        ? this.#stalled.then(() => this.alive ? answer() : never())
        : answer();
      answering.then((value) => {
        this.#callers.delete(fail);
        resolve(value);
      }, (error) => {
        this.#callers.delete(fail);
        reject(error);
      });
    });
  }

  #burn(what: string): Fuse["then"] | undefined {
    const { fuse } = this;
    if (!fuse || (fuse.only && !fuse.only(what)) || --fuse.left > 0) return undefined;
    this.fuse = undefined;
    return fuse.then;
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        cancel();
        signal?.removeEventListener("abort", done);
        if (!this.alive) return;
        if (this.#stalled) void this.#stalled.then(() => this.alive && resolve());
        else resolve();
      };
      const cancel = this.options.timeline.after(ms, done);
      signal?.addEventListener("abort", done, { once: true });
    });
  }
}
