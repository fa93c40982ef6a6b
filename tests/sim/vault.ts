/**
 * A vault that seals nothing: the machine's ciphers answer from a thread, in an order that no seed decides.
 * What a value belongs to is checked as in the real one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, type Vault } from "../../kv/vault.ts";

const KEY_ID = "simulated";

export const SIM_VAULT: Vault = {
  keyId: KEY_ID,
  has: (id) => id === KEY_ID,
  seal: (value, about) =>
    Promise.resolve({ keyId: KEY_ID, nonce: new Uint8Array(), data: concat(tagOf(about), value) }),
  open({ data }, about) {
    const tag = tagOf(about);
    const ours = tag.every((byte, i) => data[i] === byte);
    return Promise.resolve(ours ? data.slice(tag.length) as Uint8Array<ArrayBuffer> : undefined);
  },
  fingerprint: (text) => Promise.resolve(createHash("sha256").update(text).digest("hex")),
};

function tagOf(about: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(about).digest());
}
