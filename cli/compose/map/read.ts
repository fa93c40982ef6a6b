/**
 * Reading values of a canonical service, whose types were checked. Pure.
 *
 * @module
 */
import { entriesOf, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { bytesOf, durationMs, flagOf, numberOf } from "../values.ts";

/** Empty text is absent, as in Compose: `platform: ${PLATFORM:-}`. */
export function textAt(tree: Tree | undefined, ...path: string[]): string | undefined {
  return textOf(get(tree, ...path)) || undefined;
}

export function numberAt(tree: Tree | undefined, ...path: string[]): number | undefined {
  const text = textAt(tree, ...path);
  return text === undefined ? undefined : numberOf(text);
}

export function flagAt(tree: Tree | undefined, ...path: string[]): boolean | undefined {
  const text = textAt(tree, ...path);
  return text === undefined ? undefined : flagOf(text);
}

export function bytesAt(tree: Tree | undefined, ...path: string[]): number | undefined {
  const text = textAt(tree, ...path);
  return text === undefined ? undefined : bytesOf(text);
}

export function durationAt(tree: Tree | undefined, ...path: string[]): number | undefined {
  const text = textAt(tree, ...path);
  return text === undefined ? undefined : durationMs(text);
}

/** The texts of a list; undefined when it is absent. */
export function textsAt(tree: Tree | undefined, ...path: string[]): string[] | undefined {
  const found = get(tree, ...path);
  return found?.kind === "list" ? itemsOf(found).map((item) => textOf(item) ?? "") : undefined;
}

/** A map of texts; what has no value is empty. */
export function pairsAt(
  tree: Tree | undefined,
  ...path: string[]
): Record<string, string> | undefined {
  const found = get(tree, ...path);
  if (found?.kind !== "map") return undefined;
  return Object.fromEntries(
    entriesOf(found).map(([name, { value }]) => [name, textOf(value) ?? ""]),
  );
}

/** Fields that have a value. */
export function present<T extends object>(
  fields: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

export const MIB = 1024 * 1024;
