/**
 * Files of variables, in the notation of Compose's `.env` and `env_file`: comments, `export`, quotes,
 * escapes, values over several lines, and variables in unquoted and double-quoted values. Pure.
 *
 * @module
 */
import { interpolate, type Lookup } from "./interpolate.ts";
import { ComposeError, type Place } from "./tree.ts";

/** `raw`: each value is taken as it stands, quotes and dollars included. */
export interface EnvFileOptions {
  file: string;
  lookup: Lookup;
  raw?: boolean;
}

/** A name without `=` is looked up; it is left out when it is set nowhere. */
export function parseEnvFile(text: string, options: EnvFileOptions): Map<string, string> {
  const found = new Map<string, string>();
  const source = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  const lookup: Lookup = (name) => options.lookup(name) ?? found.get(name);
  let line = 1;
  for (let from = 0; from < source.length;) {
    const entry = readEntry(source, from, { ...options, lookup }, line);
    if (entry.name !== undefined) {
      const value = entry.value ?? options.lookup(entry.name);
      if (value !== undefined) found.set(entry.name, value);
    }
    line += source.slice(from, entry.end).split("\n").length - 1;
    from = entry.end;
  }
  return found;
}

interface Read {
  name?: string;
  value?: string;
  end: number;
}

function readEntry(
  source: string,
  from: number,
  options: EnvFileOptions,
  line: number,
): Read {
  const lineEnd = source.indexOf("\n", from);
  const end = lineEnd === -1 ? source.length : lineEnd + 1;
  const text = source.slice(from, end).replace(/\n$/, "");
  if (/^\s*(#|$)/.test(text)) return { end };
  const head = /^\s*(?:export\s+)?([\p{L}\p{N}_][\p{L}\p{N}_.[\]-]*)\s*([=:]?)[ \t]*/u.exec(text);
  const at: Place = { file: options.file, line, column: 1 };
  const name = head?.[1];
  if (!head || name === undefined) {
    throw new ComposeError("this is no NAME=VALUE", at, "write NAME=VALUE, or # for a comment");
  }
  if (head[2] === "") {
    if (text.slice(head[0].length).trim() === "") return { name, end };
    throw new ComposeError("this is no NAME=VALUE", at, "write NAME=VALUE, or # for a comment");
  }
  const valueFrom = from + head[0].length;
  if (options.raw) return { name, value: source.slice(valueFrom, from + text.length), end };
  const quote = source[valueFrom];
  if (quote === '"' || quote === "'") {
    return quoted(source, valueFrom, quote, { name, at, options });
  }
  const bare = text.slice(head[0].length).replace(/ #.*$/, "").trim();
  return { name, value: expanded(bare, options, at), end };
}

/** From the opening quote to the end of the line with the closing one. */
function quoted(
  source: string,
  from: number,
  quote: string,
  { name, at, options }: { name: string; at: Place; options: EnvFileOptions },
): Read {
  let close = from + 1;
  while (close < source.length && source[close] !== quote) {
    close += source[close] === "\\" && (quote === '"' || source[close + 1] === "'") ? 2 : 1;
  }
  if (close >= source.length) {
    throw new ComposeError(`the value of ${name} has no closing ${quote}`, at);
  }
  const inside = source.slice(from + 1, close);
  const rest = source.indexOf("\n", close);
  const end = rest === -1 ? source.length : rest + 1;
  const after = source.slice(close + 1, end).trim();
  if (after !== "" && !after.startsWith("#")) {
    throw new ComposeError(`after the value of ${name} comes more: ${after.slice(0, 40)}`, at);
  }
  if (quote === "'") return { name, value: inside.replaceAll("\\'", "'"), end };
  return { name, value: unescaped(expanded(inside.replaceAll("\\$", "$$$$"), options, at)), end };
}

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (all, letter: string) => ESCAPES[letter] ?? all);
}

function expanded(text: string, { lookup }: EnvFileOptions, at: Place): string {
  return interpolate(text, { lookup, unset: () => {} }, at);
}
