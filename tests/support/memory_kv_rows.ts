/**
 * Keys and values of the model of Deno KV.
 *
 * @module
 */

/**
 * A key as text, one character a byte, that sorts as the database sorts: strings before numbers, strings
 * by their UTF-8, numbers by value.
 */
export function encodeKey(key: Deno.KvKey): string {
  let text = "";
  for (const part of key) {
    if (typeof part === "string") text += `\x02${bytesOf(part)}\0`;
    else if (typeof part === "number") text += `\x21${orderedDouble(part)}`;
    else throw new TypeError(`the model of the database knows no keys of type ${typeof part}`);
  }
  return text;
}

const encoder = new TextEncoder();

/** A character a byte; what ends a part is marked within it. */
function bytesOf(text: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x01-\x7f]*$/.test(text)) return text;
  return String.fromCharCode(...encoder.encode(text)).replaceAll("\0", "\0\xff");
}

const view = new DataView(new ArrayBuffer(8));

/** Big-endian, with the sign turned so that bytes sort as the numbers do. */
function orderedDouble(number: number): string {
  view.setFloat64(0, number);
  const negative = view.getUint8(0) >= 0x80;
  let text = "";
  for (let i = 0; i < 8; i++) {
    const byte = view.getUint8(i);
    text += String.fromCharCode(negative ? byte ^ 0xff : i === 0 ? byte ^ 0x80 : byte);
  }
  return text;
}

/** Values that nobody can change any more: one stands for all its copies. */
const frozen = new WeakSet<object>();

/** Freezes plain data as a whole, so that it need not be copied again; anything else stays as it is. */
export function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || frozen.has(value) || !isPlain(value)) return;
  freezeAll(value);
  frozen.add(value);
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).every(isPlain);
}

function freezeAll(value: object): void {
  Object.freeze(value);
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) freezeAll(part);
  }
}

/** A deep copy, as by `structuredClone`; plain data, which is most, costs less. */
export function copyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) {
    return typeof value === "function" || typeof value === "symbol"
      ? structuredClone(value)
      : value;
  }
  if (frozen.has(value)) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (Object.getPrototypeOf(value) !== Object.prototype) return structuredClone(value);
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) copy[name] = copyOf(Reflect.get(value, name));
  return copy;
}

const PER_VALUE_BYTES = 16;

/** At the most so many bytes, as stored. */
export function mayBeBytes(value: unknown): number {
  if (typeof value === "string") return PER_VALUE_BYTES + 2 * value.length;
  if (typeof value !== "object" || value === null) return PER_VALUE_BYTES;
  if (ArrayBuffer.isView(value)) return PER_VALUE_BYTES + value.byteLength;
  let bytes = PER_VALUE_BYTES;
  for (const [name, part] of Object.entries(value)) {
    bytes += PER_VALUE_BYTES + 2 * name.length + mayBeBytes(part);
  }
  return bytes;
}
