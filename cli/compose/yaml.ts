/**
 * YAML text to a tree with places. Everything that could make it large is bounded: bytes, depth, and
 * values after aliases are written out, so that no file can exhaust the machine.
 *
 * @module
 */
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import type { Node, Pair } from "yaml";
import { ComposeError, type Entry, type MapTree, type Place, scalar, type Tree } from "./tree.ts";

export const MAX_BYTES = 4 * 1024 * 1024;
const MAX_VALUES = 200_000;
const MAX_DEPTH = 64;

interface Reader {
  /** What each anchor stands for at this point of the document. */
  anchors: Map<string, unknown>;
  /** Where a node begins. */
  place(node: unknown): Place;
  values: number;
}

/** The one document of a file; `undefined` for an empty one. Throws a {@link ComposeError}. */
export function parseYaml(text: string, file: string): Tree | undefined {
  const start = { file, line: 1, column: 1 };
  if (text.length > MAX_BYTES) {
    const size = `${(text.length / 1024 / 1024).toFixed(1)} MiB`;
    throw new ComposeError(`the file has ${size}: at most 4 MiB are read`, start, SPLIT);
  }
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: line || 1, column: col || 1 };
  };
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    customTags: ["!reset", "!override"].flatMap((tag) =>
      (["map", "seq", undefined] as const).map((collection) => ({
        tag,
        ...(collection ? { collection } : {}),
        resolve: (value: unknown) => value,
      }))
    ) as never,
  });
  const documents = Array.isArray(parsed) ? parsed : [];
  const [document, second] = documents;
  if (!document) return undefined;
  const [error] = document.errors;
  if (error) throw new ComposeError(sentence(error.message), placeAt(error.pos[0]), FIX_YAML);
  if (second) {
    const at = placeAt(second.range[0]);
    throw new ComposeError("a second document begins here: a Compose file has one", at, SPLIT);
  }
  const place = (node: unknown) => placeAt(offsetOf(node));
  const reader: Reader = { anchors: new Map(), place, values: 0 };
  return document.contents ? read(document.contents, reader, 0, new Set()) : undefined;
}

const SPLIT = "split it into several files and give each with -f";
const FIX_YAML = "correct the YAML; berth config shows how a file is understood";

function sentence(message: string): string {
  if (message.includes("call stack")) return `nested deeper than ${MAX_DEPTH} levels`;
  return message.split("\n")[0]?.trim() ?? "not YAML";
}

function offsetOf(node: unknown): number {
  if (typeof node !== "object" || node === null || !("range" in node)) return 0;
  return Array.isArray(node.range) && typeof node.range[0] === "number" ? node.range[0] : 0;
}

function read(node: unknown, reader: Reader, depth: number, open: ReadonlySet<unknown>): Tree {
  const at = reader.place(node);
  if (++reader.values > MAX_VALUES) {
    throw new ComposeError(
      `more than ${MAX_VALUES.toLocaleString("en")} values once aliases are written out`,
      at,
      "give every anchor fewer uses: this looks like an alias bomb",
    );
  }
  if (depth > MAX_DEPTH) throw new ComposeError(`nested deeper than ${MAX_DEPTH} levels`, at);
  if (isAlias(node)) {
    const target = reader.anchors.get(node.source);
    if (!target) throw new ComposeError(`there is no anchor &${node.source} before this`, at);
    if (open.has(target)) throw new ComposeError(`*${node.source} contains itself`, at);
    const { tag: _, ...tree } = read(target, reader, depth, open);
    return { ...tree, at };
  }
  const { anchor } = node as { anchor?: string };
  if (anchor !== undefined) reader.anchors.set(anchor, node);
  const inner = anchor === undefined ? open : new Set(open).add(node);
  const tag = tagOf(node, at);
  const tagged = tag === undefined ? {} : { tag };
  if (isMap(node)) return { ...readMap(node.items, at, reader, depth, inner), ...tagged };
  if (isSeq(node)) {
    const items = node.items.map((item) => read(item, reader, depth + 1, inner));
    return { kind: "list", items, at, ...tagged };
  }
  return { ...readScalar(node, at), ...tagged };
}

const CORE_TAG = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq|merge)$/;

function tagOf(node: unknown, at: Place): "reset" | "override" | undefined {
  const tag = (node as Node | undefined)?.tag;
  if (tag === "!reset") return "reset";
  if (tag === "!override") return "override";
  if (tag !== undefined && !CORE_TAG.test(tag)) {
    const next = "Compose knows !reset and !override";
    throw new ComposeError(`the tag ${tag} means nothing here`, at, next);
  }
  return undefined;
}

function readScalar(node: unknown, at: Place): Tree {
  if (!isScalar(node)) return scalar(null, at, "");
  const { value } = node;
  if (value === null || value === undefined) return scalar(null, at, "");
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
    const plain = node.type === "PLAIN" && node.source !== undefined;
    return scalar(value, at, plain ? node.source : String(value));
  }
  return scalar(String(value), at, node.source ?? String(value));
}

function readMap(
  pairs: readonly Pair[],
  at: Place,
  reader: Reader,
  depth: number,
  open: ReadonlySet<unknown>,
): MapTree {
  const entries = new Map<string, Entry>();
  const merged = new Map<string, Entry>();
  for (const pair of pairs) {
    if (!isPair(pair)) continue;
    const keyAt = reader.place(pair.key);
    const name = keyOf(pair.key, keyAt);
    const value = pair.value === null || pair.value === undefined
      ? scalar(null, keyAt, "")
      : read(pair.value, reader, depth + 1, open);
    if (name === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN") {
      for (const [inherited, entry] of mergeKey(value)) {
        if (!merged.has(inherited)) merged.set(inherited, entry);
      }
      continue;
    }
    const before = entries.get(name);
    if (before) {
      const first = `it is in line ${before.at.line} already`;
      throw new ComposeError(`the key ${name} stands here twice: ${first}`, keyAt, "keep one");
    }
    entries.set(name, { at: keyAt, value });
  }
  for (const [name, entry] of merged) if (!entries.has(name)) entries.set(name, entry);
  return { kind: "map", entries, at };
}

function keyOf(key: unknown, at: Place): string {
  if (isScalar(key) && key.value !== null && typeof key.value !== "object") {
    return typeof key.value === "string" ? key.value : key.source ?? String(key.value);
  }
  throw new ComposeError("a key must be a plain word", at);
}

/** What `<<` brings in: a map, or several of which the first to have a key counts. */
function mergeKey(value: Tree): Iterable<[string, Entry]> {
  if (value.kind === "map") return value.entries;
  if (value.kind === "list" && value.items.every((item) => item.kind === "map")) {
    const all = new Map<string, Entry>();
    for (const item of value.items) {
      if (item.kind !== "map") continue;
      for (const [name, entry] of item.entries) if (!all.has(name)) all.set(name, entry);
    }
    return all;
  }
  throw new ComposeError("<< takes a map, or a list of maps", value.at, "write <<: *anchor");
}
