/**
 * Making tar archives (ustar). Pure.
 *
 * @module
 */
export interface TarEntry {
  /** Relative; a directory's ends with `/`. */
  name: string;
  type: "file" | "link" | "directory";
  mode: number;
  uid?: number;
  gid?: number;
  data?: Uint8Array;
  /** Where a link leads. */
  target?: string;
}

const BLOCK = 512;
const TYPES = { file: "0", link: "2", directory: "5" } as const;
const NAME_BYTES = 100;
/** GNU's records for what is longer: the name of the entry, or of what it links to. */
const LONG = { record: "././@LongLink", name: "L", target: "K" } as const;

/** What ends an archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/** One entry, padded to whole blocks, with time 0: the same input gives the same bytes. */
export function tarEntry(entry: TarEntry): Uint8Array {
  const { name, type, target = "", data = new Uint8Array() } = entry;
  const parts: Uint8Array[] = [];
  if (encode(name).length >= NAME_BYTES) parts.push(longRecord(LONG.name, name));
  if (encode(target).length >= NAME_BYTES) parts.push(longRecord(LONG.target, target));
  parts.push(record(entry, TYPES[type], data));
  return joined(parts);
}

function longRecord(type: string, text: string): Uint8Array {
  const data = encode(`${text}\0`);
  return record({ name: LONG.record, mode: 0 }, type, data);
}

function record(
  { name, mode, uid = 0, gid = 0, target = "" }:
    & Pick<TarEntry, "name" | "mode">
    & Partial<TarEntry>,
  type: string,
  data: Uint8Array,
): Uint8Array {
  const block = new Uint8Array(BLOCK + Math.ceil(data.length / BLOCK) * BLOCK);
  const text = (at: number, value: string) => block.set(encode(value).subarray(0, NAME_BYTES), at);
  text(0, name);
  text(100, octal(mode, 7));
  number(block, 108, uid);
  number(block, 116, gid);
  text(124, octal(data.length, 11));
  text(136, octal(0, 11));
  text(148, "        ");
  text(156, type);
  text(157, target);
  text(257, "ustar\0" + "00");
  const sum = block.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
  text(148, `${octal(sum, 6)}\0 `);
  block.set(data, BLOCK);
  return block;
}

/** An owner's id: octal, or in binary (as GNU does) when that has too few digits. */
function number(block: Uint8Array, at: number, value: number): void {
  if (value < 8 ** 7) {
    block.set(encode(octal(value, 7)), at);
    return;
  }
  block[at] = 0x80;
  new DataView(block.buffer).setUint32(at + 4, value);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The parts in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
