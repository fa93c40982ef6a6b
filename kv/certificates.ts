/**
 * A certificate as a secret has it: the chain and the private key, both as PEM, in either order.
 *
 * @module
 */
import type { KeyObject, X509Certificate } from "node:crypto";

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** Why the value cannot serve as a certificate; undefined when it can. Quotes nothing of it. */
export async function certificateTrouble(value: Uint8Array): Promise<string | undefined> {
  const blocks = [...new TextDecoder().decode(value).matchAll(BLOCK)];
  const certificates = blocks.filter(([, label]) => label === "CERTIFICATE");
  const keys = blocks.filter(([, label]) => label?.endsWith("PRIVATE KEY"));
  if (certificates.length === 0) return "has no certificate in PEM";
  if (keys.length !== 1) return `has ${keys.length} private keys in PEM, and must have one`;
  // Megabytes that most servers never need.
  const crypto = await import("node:crypto");
  let key: KeyObject;
  try {
    key = crypto.createPrivateKey(keys[0]?.[0] ?? "");
  } catch {
    return "has a private key that cannot be read; it must not be encrypted";
  }
  const read: X509Certificate[] = [];
  for (const [i, [text]] of certificates.entries()) {
    try {
      read.push(new crypto.X509Certificate(text));
    } catch {
      return `has a certificate that cannot be read, number ${i + 1}`;
    }
  }
  if (read[0]?.checkPrivateKey(key)) return undefined;
  return read.some((one) => one.checkPrivateKey(key))
    ? "must have the certificate of its private key first, and then those that it was signed with"
    : "has a certificate that does not match its private key";
}
