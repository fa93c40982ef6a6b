/**
 * Two TCP connections joined: what is read from one is written to the other, until both have ended.
 *
 * 1. The end of one direction is passed on (half-close); the other goes on.
 * 2. When a direction fails, or the splice is cut, both connections are closed.
 * 3. A connection that waits holds a small buffer only: there may be many of them. One that fills its
 *    buffer gets a large one.
 * 4. Memory is bounded by the reader: nothing is read before what came before was written.
 *
 * @module
 */

const SMALL_BYTES = 4 * 1024;
const LARGE_BYTES = 64 * 1024;
/** Buffers that are kept for the next connections. */
const KEPT = 256;

export interface Buffers {
  small(): Uint8Array<ArrayBuffer>;
  large(): Uint8Array<ArrayBuffer>;
  give(buffer: Uint8Array<ArrayBuffer>): void;
}

/** Buffers that are used again. A buffer belongs to one read or write at a time. */
export function createBuffers(): Buffers {
  const small: Uint8Array<ArrayBuffer>[] = [];
  const large: Uint8Array<ArrayBuffer>[] = [];
  return {
    small: () => small.pop() ?? new Uint8Array(SMALL_BYTES),
    large: () => large.pop() ?? new Uint8Array(LARGE_BYTES),
    give(buffer) {
      const kept = buffer.length === SMALL_BYTES ? small : large;
      if (kept.length < KEPT) kept.push(buffer);
    },
  };
}

/** The coarse time of the last look, in ms of the monotonic clock; shared by all connections. */
export interface Ticker {
  nowMs: number;
}

export interface SpliceDeps {
  buffers: Buffers;
  ticker: Ticker;
}

/** How it ended: `broken` is when the backend failed, or hung up, before it had answered anything. */
export type SpliceEnd = "done" | "broken";

export class Splice {
  /** When a byte last came, by the ticker. */
  activeMs = 0;
  #open = 2;
  #answered = false;
  #hungUp = false;
  #ended = false;
  readonly #client: Deno.Conn;
  readonly #backend: Deno.Conn;
  readonly #deps: SpliceDeps;
  readonly #onEnd: (end: SpliceEnd) => void;

  constructor(
    client: Deno.Conn,
    backend: Deno.Conn,
    deps: SpliceDeps,
    onEnd: (end: SpliceEnd) => void,
  ) {
    this.#client = client;
    this.#backend = backend;
    this.#deps = deps;
    this.#onEnd = onEnd;
  }

  /** Begins. Call it once. */
  start(): void {
    this.activeMs = this.#deps.ticker.nowMs;
    void this.#copy(this.#client, this.#backend, false);
    void this.#copy(this.#backend, this.#client, true);
  }

  /** Closes both connections. */
  cut(): void {
    this.#end("done");
  }

  async #copy(from: Deno.Conn, to: Deno.Conn, fromBackend: boolean): Promise<void> {
    const { buffers, ticker } = this.#deps;
    let buffer = buffers.small();
    let reading = true;
    try {
      while (true) {
        reading = true;
        const count = await from.read(buffer);
        if (count === null) break;
        reading = false;
        this.activeMs = ticker.nowMs;
        if (fromBackend) this.#answered = true;
        let sent = await to.write(count === buffer.length ? buffer : buffer.subarray(0, count));
        while (sent < count) sent += await to.write(buffer.subarray(sent, count)); // invariant 4
        if (count === SMALL_BYTES && buffer.length === SMALL_BYTES) { // invariant 3
          buffers.give(buffer);
          buffer = buffers.large();
        } else if (count < SMALL_BYTES && buffer.length === LARGE_BYTES) {
          buffers.give(buffer);
          buffer = buffers.small();
        }
      }
      if (fromBackend && !this.#answered && this.#open === 2) this.#hungUp = true;
      if (--this.#open === 0) this.#end(this.#hungUp ? "broken" : "done");
      else to.closeWrite().catch(() => this.#end("done")); // invariant 1
    } catch {
      // Which of the two failed: a read is the sender's, a write the receiver's.
      const backend = fromBackend === reading;
      this.#end(backend && !this.#answered ? "broken" : "done");
    } finally {
      buffers.give(buffer);
    }
  }

  #end(end: SpliceEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    closeQuietly(this.#client); // invariant 2
    closeQuietly(this.#backend);
    this.#onEnd(end);
  }
}

export function closeQuietly(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // It is closed already.
  }
}
