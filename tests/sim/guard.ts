/**
 * The guards of one machine: what worker/guard.ts does, on simulated time and on the simulated engine.
 * A guard outlives its agent. Its kills reach the engine always: an engine that does not kill is no
 * promise of Berth's.
 *
 * @module
 */
import type { Guard } from "../../worker/guard_client.ts";
import type { Process } from "./process.ts";
import type { Timeline } from "./timeline.ts";

const EAGER_MS = 200;
const LAZY_MS = 2_000;
/** After so long past the deadline the kills become rarer. */
const PATIENCE_MS = 10_000;

interface Post {
  covered: readonly string[];
  marks: Map<number, number>;
  deadlineMs: number;
  /** Its agent is gone. */
  orphaned: boolean;
  over: boolean;
}

export interface GuardRoom {
  timeline: Timeline;
  /** Kills the container of this name if it runs; true when it ran. */
  kill(name: string): boolean;
}

export class Guards {
  /** Those that live, the newest last. */
  #posts: Post[] = [];
  /** The one in charge, once it has heard of a contact. */
  #owner: Post | undefined;

  constructor(private readonly room: GuardRoom) {}

  /** The guard of one life of the agent. */
  for(process: Process): Guard {
    let own: Post | undefined;
    let lastMark = 0;
    const ensure = (): Post => {
      if (own && !own.over) return own;
      const post: Post = {
        covered: [],
        marks: new Map(),
        deadlineMs: Infinity,
        orphaned: false,
        over: false,
      };
      own = post;
      this.#posts.push(post);
      process.death.signal.addEventListener("abort", () => {
        post.orphaned = true;
        this.#watch(post);
      }, { once: true });
      return post;
    };
    const tell = <T>(what: string, run: () => T): Promise<T> =>
      process.effect(`guard ${what}`, () => Promise.resolve(run()));
    return {
      earlier: () => tell("earlier", () => this.#posts.some((post) => post !== own)),
      mark: (names) =>
        tell("mark", () => {
          const post = ensure();
          post.covered = [...names];
          post.marks.set(++lastMark, this.room.timeline.nowMs);
          return lastMark;
        }),
      confirm: (mark, killMs) =>
        tell("confirm", () => {
          if (!own || own.over) return false;
          const markedMs = own.marks.get(mark);
          for (const old of own.marks.keys()) if (old < mark) own.marks.delete(old);
          if (markedMs === undefined) return false;
          own.deadlineMs = markedMs + killMs;
          this.#owner = own;
          for (const post of this.#posts) if (post !== own && post.orphaned) this.#end(post);
          this.#watch(own);
          return true;
        }),
      cover: (names) =>
        tell("cover", () => {
          const post = ensure();
          post.covered = [...names];
          return post.deadlineMs < Infinity
            ? { ok: true as const, value: undefined }
            : { ok: false as const, kind: "unavailable" as const, message: "no contact yet" };
        }),
      close: () => {
        if (own && process.alive) this.#end(own);
        own = undefined;
      },
      leave: () => {
        if (own) own.orphaned = true;
      },
    };
  }

  #end(post: Post): void {
    post.over = true;
    this.#posts = this.#posts.filter((other) => other !== post);
    if (this.#owner === post) this.#owner = undefined;
  }

  /** Kills what it covers from the deadline on, until it is told of a newer contact. */
  #watch(post: Post): void {
    if (post.over) return;
    if (post.orphaned && (this.#owner !== post || post.covered.length === 0)) {
      if (this.#owner || post.deadlineMs === Infinity || post.covered.length === 0) {
        return this.#end(post);
      }
    }
    const { timeline, kill } = this.room;
    const { deadlineMs } = post;
    if (deadlineMs === Infinity) return;
    timeline.after(deadlineMs - timeline.nowMs, () => {
      if (!post.over && post.deadlineMs === deadlineMs) strike();
    });
    const strike = () => {
      if (post.over || post.deadlineMs !== deadlineMs) return;
      const ran = post.covered.map(kill).some((one) => one);
      if (post.orphaned && !ran) return this.#end(post);
      const lateMs = timeline.nowMs - deadlineMs;
      timeline.after(lateMs < PATIENCE_MS ? EAGER_MS : LAZY_MS, strike);
    };
  }
}
