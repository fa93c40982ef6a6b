/**
 * How a simulation knows that nothing can go on: everything in it that waits for neither time nor the
 * database is microtasks, and `nextTick` comes when there are none left. A turn of the event loop says the
 * same, but costs five times as much, and a run has thousands of them.
 *
 * @module
 */
import { nextTick } from "node:process";

const waiting: (() => void)[] = [];
let armed = false;

/** Resolves once no microtask is left; of several that wait, one after another. */
export function allElseDone(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (!armed) arm();
  });
}

/** From a microtask: what is asked for during a tick, or outside of all, comes before microtasks. */
function arm(): void {
  armed = true;
  queueMicrotask(() => nextTick(wakeFirst));
}

function wakeFirst(): void {
  const wake = waiting.shift();
  armed = false;
  if (waiting.length > 0) arm();
  wake?.();
}

/** Lets the platform do what it does between turns of the event loop. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
