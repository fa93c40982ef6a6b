/**
 * Paths in a file are relative to a directory: that of the project, or of the file that was included or
 * extended. Pure.
 *
 * @module
 */
import { isAbsolute, join, normalize } from "node:path/posix";
import {
  get,
  isNull,
  type MapTree,
  scalar,
  type ScalarTree,
  textOf,
  type Tree,
  withEntry,
} from "./tree.ts";

export interface Base {
  dir: string;
  home: string | undefined;
}

export function absolute(path: string, { dir, home }: Base): string {
  if (home !== undefined && (path === "~" || path.startsWith("~/"))) {
    return join(home, path.slice(1));
  }
  return isAbsolute(path) ? normalize(path) : join(dir, path);
}

/** Not of this machine: `https://…`, `oci://…`, `git@…`. */
export function isRemote(path: string): boolean {
  return /^[a-z+]+:\/\/|^git@/.test(path);
}

/** A canonical file with all paths absolute. */
export function absolutePaths(file: MapTree, base: Base): MapTree {
  const path = (tree: Tree): Tree =>
    tree.kind === "scalar" && typeof tree.value === "string" ? moved(tree, base) : tree;
  const eachItem = (rewrite: (item: Tree) => Tree) => (tree: Tree): Tree =>
    tree.kind === "list" ? { ...tree, items: tree.items.map(rewrite) } : tree;
  const at = (name: string, rewrite: (value: Tree) => Tree) => (tree: Tree): Tree => {
    const entry = tree.kind === "map" ? tree.entries.get(name) : undefined;
    if (tree.kind !== "map" || !entry || isNull(entry.value)) return tree;
    return withEntry(tree, name, rewrite(entry.value));
  };
  const all = (...rewrites: ((tree: Tree) => Tree)[]) => (tree: Tree): Tree =>
    rewrites.reduce((now, rewrite) => rewrite(now), tree);
  const everyEntry = (rewrite: (tree: Tree) => Tree) => (tree: Tree): Tree =>
    tree.kind !== "map" ? tree : {
      ...tree,
      entries: new Map(
        [...tree.entries].map(([name, { at, value }]) => [name, { at, value: rewrite(value) }]),
      ),
    };
  const bind = (item: Tree): Tree =>
    textOf(get(item, "type")) === "bind" ? at("source", path)(item) : item;
  const context = (tree: Tree): Tree => isRemote(textOf(tree) ?? "") ? tree : path(tree);
  const service = all(
    at("env_file", eachItem(at("path", path))),
    at("label_file", eachItem(path)),
    at("volumes", eachItem(bind)),
    at("build", at("context", context)),
    at("extends", at("file", context)),
  );
  return all(
    at("services", everyEntry(service)),
    at("secrets", everyEntry(at("file", path))),
    at("configs", everyEntry(at("file", path))),
  )(file) as MapTree;
}

function moved(tree: ScalarTree, base: Base): ScalarTree {
  const { value, text, at, tag } = tree;
  const next = typeof value === "string"
    ? scalar(absolute(value, base), at)
    : scalar(value, at, text);
  return tag === undefined ? next : { ...next, tag };
}
