/**
 * The keys that leave a main process that one is attached to. Pure but for its own memory.
 *
 * @module
 */
import type { Parsed } from "../command.ts";

/** `ctrl-p,ctrl-q`: single characters, or ctrl- and one of a-z @ [ \ ] ^ _. */
export function parseDetachKeys(text: string): Parsed<number[]> {
  const keys = text.split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    return control === undefined ? NaN : control.toUpperCase().charCodeAt(0) - 64;
  });
  return keys.every((key) => key >= 0 && key < 128)
    ? { ok: true, value: keys }
    : { ok: false, message: "write keys like ctrl-p,ctrl-q" };
}

/** For people: `Ctrl-P, Ctrl-Q`. */
export function keysText(keys: readonly number[]): string {
  return keys.map((key) =>
    key > 0 && key < 32 ? `Ctrl-${String.fromCharCode(key + 64)}` : String.fromCharCode(key)
  ).join(", ");
}

/**
 * Passes on what is typed, and answers undefined once the keys were pressed one after the other. Keys
 * that may be the beginning of that wait for the next one.
 */
export function detachFilter(
  keys: readonly number[],
): (data: Uint8Array) => Uint8Array | undefined {
  let held: number[] = [];
  return (data) => {
    const passed: number[] = [];
    for (const byte of data) {
      held.push(byte);
      while (held.length > 0 && held.some((key, i) => key !== keys[i])) {
        passed.push(held[0] ?? 0);
        held = held.slice(1);
      }
      if (held.length === keys.length) return undefined;
    }
    return Uint8Array.from(passed);
  };
}
