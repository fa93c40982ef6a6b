/**
 * What a Compose file says, with the place of every value. Pure.
 *
 * @module
 */

export interface Place {
  file: string;
  /** Counted from 1. */
  line: number;
  column: number;
}

/** What Compose's own tags ask of a merge: `!reset` drops the value, `!override` replaces it whole. */
export type MergeTag = "reset" | "override";

interface Node {
  at: Place;
  tag?: MergeTag;
}

export interface ScalarTree extends Node {
  kind: "scalar";
  value: string | number | boolean | null;
  /** As it was written: `0444` is a mode and `1.10` a version, whatever number YAML makes of them. */
  text: string;
}

export interface ListTree extends Node {
  kind: "list";
  items: Tree[];
}

export interface MapTree extends Node {
  kind: "map";
  entries: Map<string, Entry>;
}

export interface Entry {
  /** Where the key stands. */
  at: Place;
  value: Tree;
}

export type Tree = ScalarTree | ListTree | MapTree;

/** What is wrong with a Compose file: the one message that its user gets. */
export class ComposeError extends Error {
  readonly at: Place | undefined;
  /** What to do about it. */
  readonly next: string;

  constructor(message: string, at?: Place, next = "") {
    super(at ? `${placeText(at)}: ${message}` : message);
    this.at = at;
    this.next = next;
  }
}

/** `compose.yaml:3:7`, as editors and terminals understand it. */
export function placeText({ file, line, column }: Place): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

export function scalar(value: ScalarTree["value"], at: Place, text = String(value)): ScalarTree {
  return { kind: "scalar", value, text, at };
}

export function list(items: Tree[], at: Place): ListTree {
  return { kind: "list", items, at };
}

export function map(entries: Iterable<[string, Tree]>, at: Place): MapTree {
  const all = [...entries].map(([name, value]): [string, Entry] => [name, { at: value.at, value }]);
  return { kind: "map", entries: new Map(all), at };
}

export function isNull(tree: Tree): boolean {
  return tree.kind === "scalar" && tree.value === null;
}

/** The value of a key; undefined when it is absent or null, which Compose takes for the same. */
export function get(tree: Tree | undefined, ...path: string[]): Tree | undefined {
  let found = tree;
  for (const name of path) {
    if (found?.kind !== "map") return undefined;
    found = found.entries.get(name)?.value;
  }
  return found && isNull(found) ? undefined : found;
}

/** The entries of a map that may be absent. */
export function entriesOf(tree: Tree | undefined): [string, Entry][] {
  return tree?.kind === "map" ? [...tree.entries] : [];
}

export function itemsOf(tree: Tree | undefined): Tree[] {
  return tree?.kind === "list" ? tree.items : [];
}

/** The text of a scalar. */
export function textOf(tree: Tree | undefined): string | undefined {
  return tree?.kind === "scalar" && tree.value !== null ? tree.text : undefined;
}

/** The same map with one entry set, or taken out. */
export function withEntry(tree: MapTree, name: string, value: Tree | undefined): MapTree {
  const entries = new Map(tree.entries);
  const at = entries.get(name)?.at ?? value?.at ?? tree.at;
  if (value === undefined) entries.delete(name);
  else entries.set(name, { at, value });
  return { ...tree, entries };
}

/** The plain value, for printing and comparing. */
export function toPlain(tree: Tree): unknown {
  switch (tree.kind) {
    case "scalar":
      return tree.value;
    case "list":
      return tree.items.map(toPlain);
    case "map":
      return Object.fromEntries(
        [...tree.entries].map(([name, { value }]) => [name, toPlain(value)]),
      );
  }
}
