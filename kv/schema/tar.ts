/**
 * Making tar archives (ustar), for agents and the command line. Pure; tar_read.ts reads them.
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
  mtimeSeconds?: number;
  data?: Uint8Array;
  /** Where a link leads. */
  target?: string;
}

export const BLOCK = 512;
export const TYPES = { file: "0", link: "2", directory: "5" } as const;
const NAME_BYTES = 100;
/** GNU's records for what is longer: the name of the entry, or of what it links to. */
const LONG = { record: "././@LongLink", name: "L", target: "K" } as const;

/** What ends an archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/** One entry, padded to whole blocks; without a time the same input gives the same bytes. */
export function tarEntry(entry: TarEntry): Uint8Array {
  const { data = new Uint8Array() } = entry;
  return joined([tarHeader(entry, data.length), data, tarPadding(data.length)]);
}

/** What stands before the `size` bytes of an entry's content; {@link tarPadding} follows them. */
export function tarHeader(entry: Omit<TarEntry, "data">, size: number): Uint8Array {
  const { name, type, target = "" } = entry;
  const parts: Uint8Array[] = [];
  if (encode(name).length >= NAME_BYTES) parts.push(longRecord(LONG.name, name));
  if (encode(target).length >= NAME_BYTES) parts.push(longRecord(LONG.target, target));
  parts.push(record(entry, TYPES[type], size));
  return joined(parts);
}

/** What fills the last block of so many bytes. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - size % BLOCK) % BLOCK);
}

function longRecord(type: string, text: string): Uint8Array {
  const data = encode(`${text}\0`);
  const header = record({ name: LONG.record, mode: 0 }, type, data.length);
  return joined([header, data, tarPadding(data.length)]);
}

function record(
  { name, mode, uid = 0, gid = 0, mtimeSeconds = 0, target = "" }:
    & Pick<TarEntry, "name" | "mode">
    & Partial<TarEntry>,
  type: string,
  size: number,
): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (at: number, value: string) => block.set(encode(value).subarray(0, NAME_BYTES), at);
  text(0, name);
  text(100, octal(mode, 7));
  number(block, 108, 8, uid);
  number(block, 116, 8, gid);
  number(block, 124, 12, size);
  number(block, 136, 12, Math.max(0, Math.floor(mtimeSeconds)));
  text(148, "        ");
  text(156, type);
  text(157, target);
  text(257, "ustar\0" + "00");
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(148, `${octal(sum, 6)}\0 `);
  return block;
}

/** Octal, or in binary (as GNU does) when that has too few digits. */
function number(block: Uint8Array, at: number, width: number, value: number): void {
  if (value < 8 ** (width - 1)) {
    block.set(encode(octal(value, width - 1)), at);
    return;
  }
  block[at] = 0x80;
  const view = new DataView(block.buffer);
  if (width === 8) view.setUint32(at + 4, value);
  else view.setBigUint64(at + 4, BigInt(value));
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
