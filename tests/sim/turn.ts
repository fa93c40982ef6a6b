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
    if (armed) return;
    armed = true;
    nextTick(wakeFirst);
  });
}

function wakeFirst(): void {
  const wake = waiting.shift();
  armed = waiting.length > 0;
  // From a microtask: ticks that are asked for during one follow it at once.
  if (armed) queueMicrotask(() => nextTick(wakeFirst));
  wake?.();
}

/** Lets the platform do what it does between turns of the event loop. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
