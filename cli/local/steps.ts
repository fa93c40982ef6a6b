/**
 * A story told in steps: a spinner while one goes on, a line when it is done.
 *
 * @module
 */
import type { Deps } from "../deps.ts";
import { elapsed } from "../format/duration.ts";
import { style } from "../format/style.ts";
import { startProgress } from "../progress.ts";

/** A step that could not be done: the story ends here. */
export type StepResult<T> = { ok: true; value: T } | { ok: false; message: string };

export interface Steps {
  say(text?: string): void;
  note(text: string): void;
  /** Runs a step and prints `done(value)` with the time it took. */
  step<T>(
    doing: string,
    run: (update: (text: string) => void) => Promise<StepResult<T>>,
    done: (value: T) => string,
  ): Promise<StepResult<T>>;
}

export function createSteps(deps: Deps): Steps {
  const { io, view, clock } = deps;
  const paint = style(view.color);
  const say = (text = "") => io.out(text + "\n");
  let clear = () => {};
  return {
    say,
    note(text) {
      clear();
      say(`  ${paint.dim(text)}`);
    },
    async step(doing, run, done) {
      const startMs = clock.monoMs();
      const progress = startProgress(deps, doing);
      clear = () => io.errIsTty && !view.quiet && io.err("\r\x1b[2K");
      try {
        const result = await run((text) => progress.update(text));
        progress.stop();
        if (result.ok) {
          const took = paint.dim(elapsed(clock.monoMs() - startMs));
          say(`${paint.good("✓")} ${done(result.value)}  ${took}`);
        }
        return result;
      } finally {
        progress.stop();
        clear = () => {};
      }
    },
  };
}
