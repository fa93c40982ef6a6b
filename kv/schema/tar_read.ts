/**
 * Reading tar archives as they come: ustar with the records of GNU and PAX for what is longer.
 *
 * 1. What is not a tar, or ends early, throws {@link TarError}: half an archive is never a short one.
 * 2. No more than a block and one record of names is held, however large the content is.
 *
 * @module
 */
import { BLOCK, type TarEntry, TYPES } from "./tar.ts";

export class TarError extends Error {}

export interface ReadEntry extends Omit<TarEntry, "type" | "data"> {
  /** `hard`: the same file as the entry `target`. `other`: devices, pipes. */
  type: TarEntry["type"] | "hard" | "other";
  size: number;
  /** To be read before the next entry; what is left of it is skipped. */
  content: AsyncGenerator<Uint8Array>;
}

/** Names longer than this are nobody's. */
const MAX_RECORD_BYTES = 1024 * 1024;
const GLOBAL = "g";

export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<ReadEntry> {
  const input = createInput(source);
  let next: { name?: string; target?: string; size?: number } = {};
  try {
    while (true) {
      const block = await input.exactly(BLOCK);
      if (block.every((byte) => byte === 0)) return;
      const header = parseHeader(block);
      const { flag } = header;
      if (flag === "L" || flag === "K" || flag === "x" || flag === GLOBAL) {
        if (header.size > MAX_RECORD_BYTES) throw new TarError("a name in the tar is too long");
        const text = new TextDecoder().decode(await input.exactly(header.size));
        await input.exactly(paddingOf(header.size));
        const [first = ""] = text.split("\0");
        if (flag === "L") next.name = first;
        else if (flag === "K") next.target = first;
        else if (flag === "x") next = { ...next, ...parsePax(text) };
        continue;
      }
      const entry = { ...header, ...next };
      next = {};
      let left = entry.type === "file" ? entry.size : 0;
      const padding = paddingOf(left);
      const content = async function* () {
        while (left > 0) {
          const piece = await input.some(left);
          left -= piece.length;
          yield piece;
        }
      };
      const { flag: _, ...rest } = entry;
      yield { ...rest, content: content() };
      while (left > 0) left -= (await input.some(left)).length;
      await input.exactly(padding);
    }
  } finally {
    await input.close();
  }
}

function paddingOf(size: number): number {
  return (BLOCK - size % BLOCK) % BLOCK;
}

function createInput(source: AsyncIterable<Uint8Array>) {
  const iterator = source[Symbol.asyncIterator]();
  let chunk = new Uint8Array(0);
  /** Between one and `max` bytes. */
  async function some(max: number): Promise<Uint8Array> {
    while (chunk.length === 0) {
      const { done, value } = await iterator.next();
      if (done) throw new TarError("the tar ends early"); // (1)
      chunk = value as Uint8Array<ArrayBuffer>;
    }
    const piece = chunk.subarray(0, max);
    chunk = chunk.subarray(piece.length);
    return piece;
  }
  return {
    some,
    async exactly(count: number): Promise<Uint8Array> {
      const all = new Uint8Array(count);
      for (let at = 0; at < count;) {
        const piece = await some(count - at);
        all.set(piece, at);
        at += piece.length;
      }
      return all;
    },
    async close() {
      await iterator.return?.();
    },
  };
}

const KINDS: Record<string, ReadEntry["type"]> = {
  "": "file",
  [TYPES.file]: "file",
  "7": "file",
  "1": "hard",
  [TYPES.link]: "link",
  [TYPES.directory]: "directory",
};

function parseHeader(block: Uint8Array) {
  const text = (at: number, length: number) => {
    const field = block.subarray(at, at + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
  };
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  if (numberAt(block, 148, 8) !== sum) throw new TarError("this is no tar"); // (1)
  const flag = text(156, 1);
  const prefix = text(257, 6).startsWith("ustar") && block[263] === 48 ? text(345, 155) : "";
  const name = text(0, 100);
  const full = prefix === "" ? name : `${prefix}/${name}`;
  const type = KINDS[flag] ?? "other";
  return {
    flag,
    name: full,
    // Archives of before ustar mark directories by their names alone.
    type: type === "file" && full.endsWith("/") ? "directory" as const : type,
    mode: numberAt(block, 100, 8),
    uid: numberAt(block, 108, 8),
    gid: numberAt(block, 116, 8),
    size: numberAt(block, 124, 12),
    mtimeSeconds: numberAt(block, 136, 12),
    target: text(157, 100),
  };
}

/** Octal, or binary when the first bit is set. */
function numberAt(block: Uint8Array, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if ((field[0] ?? 0) & 0x80) {
    return field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
  }
  const digits = new TextDecoder().decode(field).replace(/[\0 ]+$/, "").trim();
  if (digits !== "" && !/^[0-7]+$/.test(digits)) throw new TarError("this is no tar");
  return digits === "" ? 0 : parseInt(digits, 8);
}

/** Records `LENGTH KEY=VALUE\n`, of which the length counts the whole record, in bytes. */
function parsePax(text: string): { name?: string; target?: string; size?: number } {
  const found: { name?: string; target?: string; size?: number } = {};
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(32, at);
    const length = Number(new TextDecoder().decode(bytes.subarray(at, space)));
    if (space < 0 || !(length > 0)) throw new TarError("this is no tar");
    const record = new TextDecoder().decode(bytes.subarray(space + 1, at + length - 1));
    const equals = record.indexOf("=");
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === "path") found.name = value;
    else if (key === "linkpath") found.target = value;
    else if (key === "size" && /^\d{1,15}$/.test(value)) found.size = Number(value);
    at += length;
  }
  return found;
}
