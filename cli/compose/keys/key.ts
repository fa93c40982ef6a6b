/**
 * How the table of keys is written: for each key of the Compose Specification what becomes of it, and
 * what its value may look like. Checking a file, and docs/compose.md, come from the same table.
 *
 * @module
 */

/** What a value may look like. */
export type Shape =
  | { kind: "text" | "number" | "integer" | "flag" | "bytes" | "duration" | "any" }
  | { kind: "choice"; of: readonly string[] }
  /** Names and values: a map of scalars, or a list of `NAME=VALUE`. */
  | { kind: "pairs" }
  | { kind: "list"; of: Shape }
  /** A map whose keys are the user's own names. */
  | { kind: "named"; of: Shape }
  /** A map of known keys. */
  | { kind: "keys"; keys: Keys; required: readonly string[] }
  /** One of several: the first that fits by its kind is meant. */
  | { kind: "either"; of: readonly Shape[] };

export type Decision = "honoured" | "emulated" | "refused";

export interface Key {
  decision: Decision;
  /** How it is honoured or emulated, or why it is refused. */
  note: string;
  /** Of a refused key: what to do instead. */
  instead?: string;
  /** Of a refused key: values that ask for nothing. */
  harmless?: readonly string[];
  shape: Shape;
}

export type Keys = Readonly<Record<string, Key>>;

export const text: Shape = { kind: "text" };
export const number: Shape = { kind: "number" };
export const integer: Shape = { kind: "integer" };
export const flag: Shape = { kind: "flag" };
export const bytes: Shape = { kind: "bytes" };
export const duration: Shape = { kind: "duration" };
export const any: Shape = { kind: "any" };
export const pairs: Shape = { kind: "pairs" };
export const texts: Shape = { kind: "list", of: text };
export const textOrTexts: Shape = { kind: "either", of: [text, texts] };

export function choice(...of: string[]): Shape {
  return { kind: "choice", of };
}

export function listOf(of: Shape): Shape {
  return { kind: "list", of };
}

export function named(of: Shape): Shape {
  return { kind: "named", of };
}

export function keys(all: Keys, ...required: string[]): Shape {
  return { kind: "keys", keys: all, required };
}

export function either(...of: Shape[]): Shape {
  return { kind: "either", of };
}

export function honoured(shape: Shape, note = ""): Key {
  return { decision: "honoured", note, shape };
}

export function emulated(shape: Shape, note: string): Key {
  return { decision: "emulated", note, shape };
}

export function refused(
  note: string,
  instead: string,
  { shape = any, harmless = ["", "false"] }: { shape?: Shape; harmless?: readonly string[] } = {},
): Key {
  return { decision: "refused", note, instead, shape, harmless };
}

export interface KeyRow extends Key {
  /** `services.*.deploy.replicas`; `[]` stands for an item of a list, `*` for a name. */
  path: string;
}

/** Every key of a shape, in the order of the table. */
export function rowsOf(shape: Shape, path = ""): KeyRow[] {
  switch (shape.kind) {
    case "keys":
      return Object.entries(shape.keys).flatMap(([name, key]) => {
        const inner = path === "" ? name : `${path}.${name}`;
        return [{ ...key, path: inner }, ...rowsOf(key.shape, inner)];
      });
    case "list":
      return rowsOf(shape.of, `${path}[]`);
    case "named":
      return rowsOf(shape.of, `${path}.*`);
    case "either":
      return shape.of.flatMap((one) => rowsOf(one, path));
    default:
      return [];
  }
}
