/**
 * Virtual time. Everything that waits in a simulation waits here; nothing runs on two timers at once.
 *
 * @module
 */
interface Timer {
  atMs: number;
  seq: number;
  run(): void;
  cancelled: boolean;
}

export class Timeline {
  nowMs = 0;
  readonly #heap: Timer[] = [];
  #seq = 0;

  /** Runs `run` in `ms`; the answer cancels that. */
  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.nowMs + Math.max(0, ms), seq: this.#seq++, run, cancelled: false };
    this.#push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** When the next timer is due. */
  nextMs(): number | undefined {
    while (this.#heap[0]?.cancelled) this.#pop();
    return this.#heap[0]?.atMs;
  }

  /** Moves time to the next timer and runs it. */
  fire(): void {
    if (this.nextMs() === undefined) return;
    const timer = this.#pop();
    if (!timer) return;
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    timer.run();
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || before(above, timer)) break;
      heap[at] = above;
      heap[at = parent] = timer;
    }
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let at = 0;
    while (true) {
      const left = at * 2 + 1;
      const [l, r] = [heap[left], heap[left + 1]];
      const child = r && l && before(r, l) ? left + 1 : left;
      const below = heap[child];
      if (!below || before(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs === b.atMs ? a.seq < b.seq : a.atMs < b.atMs;
}
