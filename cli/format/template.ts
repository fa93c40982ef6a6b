/**
 * `--format`: templates in the notation of Docker's command line, which is Go's: a part of it. Pure.
 *
 * Known are fields (`{{.Name}}`, `{{.Spec.Labels.zone}}`, letter case does not matter), `{{if}}`,
 * `{{else}}`, `{{range}}`, `{{with}}` and `{{end}}`, pipes, texts, numbers, brackets, and the functions of
 * template_run.ts. `table` before a template makes columns of what tabs divide.
 *
 * @module
 */
import type { Parsed } from "../command.ts";
import { FUNCTIONS, type Node, runNodes, type Term, text } from "./template_run.ts";

export interface Template {
  /** One row, without a newline at its end. */
  render(value: unknown): string;
  /** All rows, each on a line; with headings if it is a table. */
  renderAll(values: readonly unknown[]): string;
}

/** Longer templates are nobody's. */
const MAX_CHARS = 16 * 1024;

class Malformed extends Error {}

export function parseTemplate(source: string): Parsed<Template> {
  const table = /^table\s+/.exec(source);
  const body = (table ? source.slice(table[0].length) : source)
    .replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  try {
    if (source.length > MAX_CHARS) throw new Malformed("is too long");
    const nodes = body === "json"
      ? parse("{{json .}}")
      : body.includes("{{")
      ? parse(body)
      : undefined;
    if (!nodes) throw new Malformed("has no field: write one like {{.Name}}, or json");
    return { ok: true, value: templateOf(nodes, table ? headingsOf(body) : undefined) };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, message: `the template ${error.message}` };
    throw error;
  }
}

function templateOf(nodes: Node[], headings: string | undefined): Template {
  const render = (value: unknown) => runNodes(nodes, { dot: value, root: value });
  return {
    render,
    renderAll(values) {
      const lines = values.map(render);
      if (headings === undefined) return lines.map((line) => `${line}\n`).join("");
      return aligned([headings, ...lines].map((line) => line.split("\t")));
    },
  };
}

/** Of `{{.Name}}\t{{.State}}`: `NAME`, `STATE`. */
function headingsOf(body: string): string {
  return body.replace(/\{\{([^}]*)\}\}/g, (_, action: string) => {
    const field = /\.([A-Za-z_][\w.]*)/.exec(action)?.[1] ?? "";
    return (field.split(".").at(-1) ?? "").replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase();
  });
}

function aligned(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row.map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3)).join("").trimEnd() + "\n"
  ).join("");
}

interface Cursor {
  pieces: { action: boolean; text: string }[];
  at: number;
}

function parse(source: string): Node[] {
  const pieces: Cursor["pieces"] = [];
  let rest = source;
  while (rest !== "") {
    const open = rest.indexOf("{{");
    if (open < 0) {
      pieces.push({ action: false, text: rest });
      break;
    }
    const close = rest.indexOf("}}", open);
    if (close < 0) throw new Malformed(`has a {{ without }}: ${rest.slice(open, open + 20)}`);
    const inner = rest.slice(open + 2, close);
    let before = rest.slice(0, open);
    rest = rest.slice(close + 2);
    if (/^-\s/.test(inner)) before = before.trimEnd();
    if (/\s-$/.test(inner)) rest = rest.trimStart();
    if (before !== "") pieces.push({ action: false, text: before });
    pieces.push({ action: true, text: inner.replace(/^-\s/, "").replace(/\s-$/, "").trim() });
  }
  const cursor = { pieces, at: 0 };
  const nodes = block(cursor, []);
  const left = cursor.pieces[cursor.at];
  if (left) throw new Malformed(`has {{${left.text}}} without a beginning`);
  return nodes;
}

/** Up to one of the words in `ends`, which is left in place. */
function block(cursor: Cursor, ends: readonly string[]): Node[] {
  const nodes: Node[] = [];
  for (let piece = cursor.pieces[cursor.at]; piece; piece = cursor.pieces[cursor.at]) {
    const [word = ""] = piece.text.split(/\s/);
    if (piece.action && (word === "end" || word === "else")) {
      if (ends.includes(word)) return nodes;
      throw new Malformed(`has {{${piece.text}}} without a beginning`);
    }
    cursor.at++;
    if (!piece.action) nodes.push({ kind: "text", text: piece.text });
    else if (piece.text.startsWith("/*")) continue;
    else if (word === "if" || word === "range" || word === "with") {
      nodes.push(control(cursor, word, piece.text.slice(word.length)));
    } else nodes.push({ kind: "output", term: pipeline(piece.text) });
  }
  if (ends.length > 0) throw new Malformed("has no {{end}} for what it begins");
  return nodes;
}

function control(cursor: Cursor, kind: "if" | "range" | "with", condition: string): Node {
  const term = pipeline(condition);
  const body = block(cursor, ["else", "end"]);
  const end = cursor.pieces[cursor.at++]?.text ?? "end";
  if (end === "end") return { kind, term, body, otherwise: [] };
  const chained = /^else\s+if\s(.*)$/.exec(end)?.[1];
  if (chained !== undefined) {
    return { kind, term, body, otherwise: [control(cursor, "if", chained)] };
  }
  const otherwise = block(cursor, ["end"]);
  cursor.at++;
  return { kind, term, body, otherwise };
}

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$?(?:\.[A-Za-z_]\w*)+|\$|\.)|([A-Za-z]\w*)|([|()]))/y;

function pipeline(source: string): Term {
  const tokens: RegExpExecArray[] = [];
  TOKEN.lastIndex = 0;
  while (source.slice(TOKEN.lastIndex).trim() !== "") {
    const from = TOKEN.lastIndex;
    const token = TOKEN.exec(source);
    if (!token) throw new Malformed(`cannot be read at: ${source.slice(from).trim().slice(0, 20)}`);
    tokens.push(token);
  }
  let at = 0;
  const piped = (): Term => {
    let term = call();
    while (tokens[at]?.[5] === "|") {
      at++;
      const next = call();
      if (next.kind !== "call") throw new Malformed("pipes into what is no function");
      term = { ...next, args: [...next.args, term] };
    }
    return term;
  };
  const call = (): Term => {
    const name = tokens[at]?.[4];
    if (name === undefined || name === "true" || name === "false") return operand();
    if (!Object.hasOwn(FUNCTIONS, name)) {
      const known = Object.keys(FUNCTIONS).join(", ");
      throw new Malformed(`has no function ${name}; there are ${known}`);
    }
    at++;
    const args: Term[] = [];
    while (tokens[at] && !/^[|)]$/.test(tokens[at]?.[5] ?? "")) args.push(operand());
    return { kind: "call", name, args };
  };
  const operand = (): Term => {
    const [, quoted, number, path, word, sign] = tokens[at++] ?? [];
    if (quoted !== undefined) return { kind: "value", value: unquoted(quoted) };
    if (number !== undefined) return { kind: "value", value: Number(number) };
    if (path !== undefined) {
      const fields = path.replace(/^\$/, "").split(".").filter((field) => field !== "");
      return { kind: "field", root: path.startsWith("$"), fields };
    }
    if (word === "true" || word === "false") return { kind: "value", value: word === "true" };
    if (word !== undefined) {
      at--;
      return call();
    }
    if (sign !== "(") throw new Malformed(`lacks something in {{${source.trim()}}}`);
    const inner = piped();
    if (tokens[at++]?.[5] !== ")") throw new Malformed(`has a ( without ) in {{${source.trim()}}}`);
    return inner;
  };
  const term = piped();
  if (at < tokens.length) throw new Malformed(`has too much in {{${source.trim()}}}`);
  return term;
}

function unquoted(quoted: string): string {
  if (quoted.startsWith("`")) return quoted.slice(1, -1);
  try {
    return text(JSON.parse(quoted.replaceAll("\t", "\\t").replaceAll("\n", "\\n")));
  } catch {
    throw new Malformed(`has a text that cannot be read: ${quoted}`);
  }
}
