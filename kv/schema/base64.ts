/**
 * Bytes as text, for JSON.
 *
 * @module
 */
export function encodeBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Undefined for what is no base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
