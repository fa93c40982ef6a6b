/**
 * What a template (template.ts) makes of a value. Pure.
 *
 * @module
 */

export type Term =
  | { kind: "value"; value: unknown }
  | { kind: "field"; root: boolean; fields: string[] }
  | { kind: "call"; name: string; args: Term[] };

export type Node =
  | { kind: "text"; text: string }
  | { kind: "output"; term: Term }
  | { kind: "if" | "range" | "with"; term: Term; body: Node[]; otherwise: Node[] };

interface Scope {
  dot: unknown;
  /** What `$` means. */
  root: unknown;
}

export function runNodes(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => runNode(node, scope)).join("");
}

function runNode(node: Node, scope: Scope): string {
  if (node.kind === "text") return node.text;
  const value = evaluate(node.term, scope);
  if (node.kind === "output") return text(value);
  if (!truthy(value)) return runNodes(node.otherwise, scope);
  if (node.kind === "if") return runNodes(node.body, scope);
  const each = node.kind === "range" ? itemsOf(value) : [value];
  return each.map((dot) => runNodes(node.body, { ...scope, dot })).join("");
}

function evaluate(term: Term, scope: Scope): unknown {
  if (term.kind === "value") return term.value;
  if (term.kind === "field") {
    return term.fields.reduce(fieldOf, term.root ? scope.root : scope.dot);
  }
  return FUNCTIONS[term.name]?.(...term.args.map((arg) => evaluate(arg, scope)));
}

/** By its name, whatever the case of its letters: Docker's users write `.ID` and `.Name`. */
function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (Object.hasOwn(value, name)) return Reflect.get(value, name);
  const wanted = name.toLowerCase();
  const key = Object.keys(value).find((one) => one.toLowerCase() === wanted);
  return key === undefined ? undefined : Reflect.get(value, key);
}

function itemsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}

/** As in Go: what is empty is false. */
function truthy(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

export function text(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function lengthOf(value: unknown): number {
  return typeof value === "string" ? [...value].length : itemsOf(value).length;
}

function at(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  return typeof value === "object" && value !== null && Object.hasOwn(value, String(key))
    ? Reflect.get(value, String(key))
    : undefined;
}

function printf(format: string, args: unknown[]): string {
  const left = [...args];
  return format.replace(/%(-?\d+)?(?:\.(\d+))?([sdvqf%])/g, (_, width, digits, verb) => {
    if (verb === "%") return "%";
    const value = left.shift();
    const shown = verb === "q"
      ? JSON.stringify(text(value))
      : verb === "f"
      ? Number(value).toFixed(digits === undefined ? 6 : Number(digits))
      : text(value);
    const columns = Number(width ?? 0);
    return columns < 0 ? shown.padEnd(-columns) : shown.padStart(columns);
  });
}

function less(a: unknown, b: unknown): boolean {
  return typeof a === "number" && typeof b === "number" ? a < b : text(a) < text(b);
}

type Fn = (...args: unknown[]) => unknown;

export const FUNCTIONS: Readonly<Record<string, Fn>> = {
  json: (value) => JSON.stringify(value ?? null),
  len: lengthOf,
  index: (value, ...keys) => keys.reduce(at, value),
  join: (list, between) => itemsOf(list).map(text).join(text(between ?? "")),
  split: (value, between) => text(value).split(text(between ?? "")),
  upper: (value) => text(value).toUpperCase(),
  lower: (value) => text(value).toLowerCase(),
  title: (value) => text(value).replace(/(^|\s)\S/g, (letter) => letter.toUpperCase()),
  truncate: (value, count) => [...text(value)].slice(0, Number(count)).join(""),
  printf: (format, ...args) => printf(text(format), args),
  println: (...args) => args.map(text).join(" ") + "\n",
  eq: (value, ...others) => others.some((other) => value === other || text(value) === text(other)),
  ne: (a, b) => text(a) !== text(b),
  lt: (a, b) => less(a, b),
  gt: (a, b) => less(b, a),
  le: (a, b) => !less(b, a),
  ge: (a, b) => !less(a, b),
  and: (...args) => args.find((arg) => !truthy(arg)) ?? args.at(-1),
  or: (...args) => args.find(truthy) ?? args.at(-1),
  not: (value) => !truthy(value),
};
