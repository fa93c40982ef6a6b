/**
 * Variables in values: `$A`, `${A}`, `${A:-b}`, `${A-b}`, `${A:?m}`, `${A?m}`, `${A:+c}`, `${A+c}`, with
 * variables in the alternatives, and `$$` for a dollar. One that begins no name stands for itself, as in
 * Compose: `$(date)`. Pure.
 *
 * @module
 */
import { ComposeError, type Place, type Tree } from "./tree.ts";

export type Lookup = (name: string) => string | undefined;

export interface Variables {
  lookup: Lookup;
  /** Called with each variable that is not set and has no alternative: it becomes empty. */
  unset(name: string, at: Place): void;
}

const MAX_NESTING = 32;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** A tree with all its values interpolated; keys are left as they are, as Compose does. */
export function interpolateTree(tree: Tree, variables: Variables): Tree {
  switch (tree.kind) {
    case "scalar": {
      if (typeof tree.value !== "string" || !tree.value.includes("$")) return tree;
      const value = interpolate(tree.value, variables, tree.at);
      return { ...tree, value, text: value };
    }
    case "list":
      return { ...tree, items: tree.items.map((item) => interpolateTree(item, variables)) };
    case "map": {
      const entries = [...tree.entries].map(([name, { at, value }]) =>
        [name, { at, value: interpolateTree(value, variables) }] as const
      );
      return { ...tree, entries: new Map(entries) };
    }
  }
}

/** One text. Throws a {@link ComposeError} for a variable that is demanded and missing. */
export function interpolate(text: string, variables: Variables, at: Place, depth = 0): string {
  if (depth > MAX_NESTING) throw wrong("variables are nested too deeply", at);
  let out = "";
  for (let from = 0; from < text.length;) {
    const dollar = text.indexOf("$", from);
    if (dollar === -1) return out + text.slice(from);
    out += text.slice(from, dollar);
    const next = text[dollar + 1];
    if (next === "$") {
      out += "$";
      from = dollar + 2;
    } else if (next === "{") {
      const end = closing(text, dollar + 2);
      if (end === -1) throw wrong(`${clipped(text.slice(dollar))} has no closing }`, at);
      out += braced(text.slice(dollar + 2, end), variables, at, depth);
      from = end + 1;
    } else {
      const name = NAME.exec(text.slice(dollar + 1))?.[0];
      out += name === undefined ? "$" : valueOf(name, variables, at);
      from = dollar + 1 + (name?.length ?? 0);
    }
  }
  return out;
}

/** The `}` that ends what began before `from`. */
function closing(text: string, from: number): number {
  let open = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === "$" && text[i + 1] === "$") i++;
    else if (text[i] === "$" && text[i + 1] === "{") {
      open++;
      i++;
    } else if (text[i] === "}" && --open === 0) return i;
  }
  return -1;
}

function braced(inside: string, variables: Variables, at: Place, depth: number): string {
  const name = NAME.exec(inside)?.[0];
  const rest = inside.slice(name?.length ?? 0);
  const operator = /^:?[-?+]/.exec(rest)?.[0] ?? "";
  if (name === undefined || (rest !== "" && operator === "")) {
    throw wrong(`\${${clipped(inside)}} is no variable`, at);
  }
  const value = variables.lookup(name);
  const present = operator.startsWith(":")
    ? value !== undefined && value !== ""
    : value !== undefined;
  const alternative = () => interpolate(rest.slice(operator.length), variables, at, depth + 1);
  switch (operator.at(-1)) {
    case "-":
      return present ? value ?? "" : alternative();
    case "+":
      return present ? alternative() : "";
    case "?": {
      if (present) return value ?? "";
      const why = alternative();
      throw new ComposeError(
        `the variable ${name} is ${value === undefined ? "not set" : "empty"}` +
          (why === "" ? "" : `: ${why}`),
        at,
        `set it in the environment, in .env, or in a file given with --env-file`,
      );
    }
    default:
      return valueOf(name, variables, at);
  }
}

/** Plain data in which a file that is made of it has no variables: every dollar is doubled. */
export function withoutVariables(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map(withoutVariables);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, withoutVariables(one)]),
  );
}

function valueOf(name: string, { lookup, unset }: Variables, at: Place): string {
  const value = lookup(name);
  if (value === undefined) unset(name, at);
  return value ?? "";
}

function wrong(message: string, at: Place): ComposeError {
  return new ComposeError(message, at, "write $$ for a dollar sign, ${NAME} for a variable");
}

function clipped(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
