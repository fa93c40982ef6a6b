/**
 * Encryption at rest: AES-256-GCM with a random nonce for each value. Callers name what a value belongs
 * to; it is authenticated with the value, so that none can be passed off as another.
 *
 * The first key seals, the others only open: a new key is put before the old ones, and once everything
 * is sealed anew (kv/rekey.ts) the old ones can go.
 *
 * @module
 */
import { decodeBase64 } from "./schema/base64.ts";

export interface Box {
  keyId: string;
  nonce: Uint8Array;
  data: Uint8Array;
}

/** A box that was just made. */
export interface SealedBox extends Box {
  nonce: Uint8Array<ArrayBuffer>;
  data: Uint8Array<ArrayBuffer>;
}

export interface Vault {
  /** Of the key that seals. */
  readonly keyId: string;
  /** `about` says what the value belongs to, completely. */
  seal(value: Uint8Array<ArrayBuffer>, about: string): Promise<SealedBox>;
  /** Undefined when the key is not here, or the box is not the one that was sealed for `about`. */
  open(box: Box, about: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  has(keyId: string): boolean;
  /** A keyed hash: unlike a plain one, it tells nothing of a guessable text to who lacks the key. */
  fingerprint(text: string): Promise<string>;
}

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const KEY_ID_BYTES = 8;

export type KeysRead = { ok: true; keys: Uint8Array<ArrayBuffer>[] } | {
  ok: false;
  problem: string;
};

/** Reads keys in base64, separated by white space or commas. Messages never quote them. */
export function parseKeys(text: string): KeysRead {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length === 0) return { ok: false, problem: "there is no key" };
  const keys: Uint8Array<ArrayBuffer>[] = [];
  for (const [i, word] of words.entries()) {
    const key = decodeBase64(word);
    if (key?.length !== KEY_BYTES) {
      return { ok: false, problem: `key ${i + 1} is not ${KEY_BYTES} bytes in base64` };
    }
    keys.push(key);
  }
  return { ok: true, keys };
}

/** At least one key; the first seals. */
export async function createVault(keys: readonly Uint8Array<ArrayBuffer>[]): Promise<Vault> {
  const [first] = keys;
  if (!first) throw new Error("a vault needs a key");
  const byId = new Map<string, CryptoKey>();
  for (const key of keys) byId.set(await keyIdOf(key), await importKey(key));
  const keyId = await keyIdOf(first);
  const hashKey = await crypto.subtle.importKey(
    "raw",
    await crypto.subtle.digest("SHA-256", concat(encode("berth fingerprint\0"), first)),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return {
    keyId,
    has: (id) => byId.has(id),
    async seal(value, about) {
      const key = byId.get(keyId);
      if (!key) throw new Error("the vault lost its key");
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const data = await crypto.subtle.encrypt(gcm(nonce, about), key, value);
      return { keyId, nonce, data: new Uint8Array(data) };
    },
    async open({ keyId: id, nonce, data }, about) {
      const key = byId.get(id);
      if (!key) return undefined;
      try {
        const value = await crypto.subtle.decrypt(gcm(nonce, about), key, new Uint8Array(data));
        return new Uint8Array(value);
      } catch (error) {
        if (error instanceof DOMException && error.name === "OperationError") return undefined;
        throw error;
      }
    },
    async fingerprint(text) {
      const mac = await crypto.subtle.sign("HMAC", hashKey, encode(text));
      return new Uint8Array(mac).toHex();
    },
  };
}

/** Tells keys apart without telling anything of them. */
async function keyIdOf(key: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", concat(encode("berth key id\0"), key));
  return new Uint8Array(digest).subarray(0, KEY_ID_BYTES).toHex();
}

function importKey(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}

function gcm(nonce: Uint8Array, about: string) {
  return { name: "AES-GCM", iv: new Uint8Array(nonce), additionalData: encode(about) };
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The parts, one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
