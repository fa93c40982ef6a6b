/**
 * Holds a file against the table of keys: unknown ones, and values of the wrong type. Pure.
 *
 * @module
 */
import type { Key, Shape } from "./keys/key.ts";
import { FILE } from "./keys/table.ts";
import { ComposeError, isNull, type MapTree, type ScalarTree, type Tree } from "./tree.ts";
import { bytesOf, durationMs, flagOf, integerOf, numberOf } from "./values.ts";

/** Throws a {@link ComposeError} for the first thing that is wrong. */
export function checkFile(tree: Tree): void {
  check(tree, FILE, []);
}

/** Names that begin with x- are the user's own. */
export function isExtension(name: string): boolean {
  return name.startsWith("x-");
}

type Path = readonly string[];

function check(tree: Tree, shape: Shape, path: Path): void {
  if (isNull(tree) || tree.tag === "reset") return; // Compose takes null for absent.
  switch (shape.kind) {
    case "any":
      return;
    case "keys":
      return checkKeys(mapOf(tree, path), shape, path);
    case "named":
      for (const [name, { value }] of mapOf(tree, path).entries) {
        if (!isExtension(name)) check(value, shape.of, [...path, name]);
      }
      return;
    case "list":
      if (tree.kind !== "list") throw mistyped(tree, "a list", path);
      tree.items.forEach((item, i) => check(item, shape.of, [...path, String(i)]));
      return;
    case "pairs":
      return checkPairs(tree, path);
    case "either":
      return check(tree, variantFor(tree, shape.of, path), path);
    default:
      return checkScalar(scalarOf(tree, shape, path), shape, path);
  }
}

function checkKeys(
  tree: MapTree,
  { keys, required }: Extract<Shape, { kind: "keys" }>,
  path: Path,
): void {
  for (const [name, { at, value }] of tree.entries) {
    if (isExtension(name)) continue;
    const key: Key | undefined = Object.hasOwn(keys, name) ? keys[name] : undefined;
    const whole = dotted([...path, name]);
    if (!key) {
      const near = nearest(name, Object.keys(keys));
      throw new ComposeError(
        `${whole}: there is no such key`,
        at,
        near === undefined
          ? "names of your own begin with x-; docs/compose.md lists all keys"
          : `did you mean ${near}?`,
      );
    }
    if (isNull(value) || value.tag === "reset") continue;
    check(value, key.shape, [...path, name]);
  }
  for (const name of required) {
    if (!tree.entries.has(name)) {
      throw new ComposeError(`${dotted(path)}: ${name} is missing`, tree.at);
    }
  }
}

/** The variant that is meant, told by the kind of the value; the last one complains if none is. */
function variantFor(tree: Tree, variants: readonly Shape[], path: Path): Shape {
  const fits = variants.find((shape) => {
    switch (shape.kind) {
      case "keys":
      case "named":
        return tree.kind === "map";
      case "list":
        return tree.kind === "list";
      case "pairs":
        return tree.kind !== "scalar";
      default:
        return tree.kind === "scalar" && problemOf(tree, shape) === undefined;
    }
  });
  if (fits) return fits;
  const scalars = variants.filter((shape) => !COLLECTIONS.has(shape.kind));
  if (tree.kind === "scalar" && scalars.length === 1 && scalars[0]) return scalars[0];
  throw mistyped(tree, variants.map(described).join(" or "), path);
}

const COLLECTIONS: ReadonlySet<string> = new Set(["keys", "named", "list", "pairs"]);

function checkPairs(tree: Tree, path: Path): void {
  if (tree.kind === "scalar") throw mistyped(tree, "a map or a list of NAME=VALUE", path);
  if (tree.kind === "list") {
    tree.items.forEach((item, i) => {
      if (item.kind !== "scalar") throw mistyped(item, "NAME=VALUE", [...path, String(i)]);
    });
    return;
  }
  for (const [name, { value }] of tree.entries) {
    if (value.kind !== "scalar") throw mistyped(value, "one value", [...path, name]);
  }
}

function checkScalar(tree: ScalarTree, shape: Shape, path: Path): void {
  const problem = problemOf(tree, shape);
  if (problem === undefined) return;
  throw new ComposeError(`${dotted(path)}: ${problem}, found ${shown(tree)}`, tree.at);
}

/** Why a scalar does not fit, as a phrase that begins with "must". */
function problemOf(tree: ScalarTree, shape: Shape): string | undefined {
  const { value, text } = tree;
  const must = `must be ${described(shape)}`;
  switch (shape.kind) {
    case "text":
      return typeof value === "string" ? undefined : must;
    case "number":
      return numberOf(value) === undefined ? must : undefined;
    case "integer":
      return integerOf(value) === undefined ? must : undefined;
    case "flag":
      return flagOf(value) === undefined ? must : undefined;
    case "bytes":
      return typeof value === "boolean" || bytesOf(text) === undefined ? must : undefined;
    case "duration":
      return typeof value === "boolean" || durationMs(text) === undefined ? must : undefined;
    case "choice":
      return shape.of.includes(text) ? undefined : must;
    default:
      return undefined;
  }
}

function described(shape: Shape): string {
  switch (shape.kind) {
    case "number":
      return "a number";
    case "integer":
      return "a whole number";
    case "flag":
      return "true or false";
    case "bytes":
      return "a size like 64m";
    case "duration":
      return "a duration like 1m30s";
    case "choice":
      return shape.of.join(" or ");
    case "list":
      return "a list";
    case "keys":
    case "named":
      return "a map";
    case "pairs":
      return "a map or a list of NAME=VALUE";
    default:
      return "text";
  }
}

function mapOf(tree: Tree, path: Path): MapTree {
  if (tree.kind === "map") return tree;
  throw mistyped(tree, "a map", path);
}

function scalarOf(tree: Tree, shape: Shape, path: Path): ScalarTree {
  if (tree.kind === "scalar") return tree;
  throw mistyped(tree, described(shape), path);
}

function mistyped(tree: Tree, wanted: string, path: Path): ComposeError {
  return new ComposeError(`${dotted(path)}: must be ${wanted}, found ${shown(tree)}`, tree.at);
}

function shown(tree: Tree): string {
  if (tree.kind !== "scalar") return `a ${tree.kind}`;
  if (tree.value === null) return "nothing";
  const text = tree.text.length > 40 ? `${tree.text.slice(0, 39)}…` : tree.text;
  return typeof tree.value === "string" ? `"${text}"` : text;
}

function dotted(path: Path): string {
  return path.length === 0 ? "the file" : path.join(".");
}

/** The known word that differs from `word` in one or two letters. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const most = word.length < 5 ? 1 : 2;
  const near = known.map((other) => ({ other, far: distance(word, other) }))
    .filter(({ far }) => far <= most).sort((a, b) => a.far - b.far);
  return near[0]?.other;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
