/**
 * A bounded map that forgets what was not used for long. It keeps two generations: what is used moves to
 * the younger one, and when that is full the older one is forgotten; so a use costs one look-up mostly,
 * and at least half of the limit is always kept.
 *
 * @module
 */
export class Lru<K, V> {
  readonly #half: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** Holds at most `limit` entries (two at the least); `onGone` is told of each value that it gives up. */
  constructor(limit: number, private readonly onGone?: (value: V) => void) {
    this.#half = Math.max(1, Math.floor(limit / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.#put(key, old);
    }
    return old;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#put(key, value);
  }

  delete(key: K): void {
    // What is in the younger generation is not in the older one.
    const generation = this.#young.has(key) ? this.#young : this.#old;
    const value = generation.get(key);
    if (value === undefined) return;
    generation.delete(key);
    this.onGone?.(value);
  }

  #put(key: K, value: V): void {
    if (this.#young.size >= this.#half) {
      if (this.onGone) { for (const old of this.#old.values()) this.onGone(old); }
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
