/**
 * Death at any await: wraps what an agent talks to, and kills it at its n-th call. A dead agent's
 * calls neither happen nor answer, as after kill -9.
 *
 * @module
 */

export interface Mortality {
  /** Calls so far. */
  readonly calls: number;
  readonly dead: boolean;
  /** Wraps every method of `target` that returns a promise. */
  wrap<T extends object>(target: T): T;
  /** Resolves when it dies. */
  died: Promise<void>;
}

/**
 * @param at the call at which to die, from 1; 0 never.
 * @param moment `before` the call reaches the other side, or `after` it had its effect there.
 */
export function createMortality(at: number, moment: "before" | "after"): Mortality {
  let calls = 0;
  let dead = false;
  let announce = () => {};
  const died = new Promise<void>((resolve) => announce = resolve);
  const die = (): Promise<never> => {
    dead = true;
    announce();
    return new Promise(() => {});
  };
  const forever = () => new Promise<never>(() => {});

  return {
    get calls() {
      return calls;
    },
    get dead() {
      return dead;
    },
    died,
    wrap: <T extends object>(target: T): T =>
      new Proxy(target, {
        get(inner, property) {
          const value: unknown = Reflect.get(inner, property);
          if (typeof value !== "function" || property === "events") return value;
          return (...args: unknown[]) => {
            if (dead) return forever();
            const mine = ++calls === at;
            if (mine && moment === "before") return die();
            const answer: Promise<unknown> = Reflect.apply(value, inner, args);
            return answer.then((result) => {
              if (mine) return die();
              return dead ? forever() : result;
            });
          };
        },
      }),
  };
}
