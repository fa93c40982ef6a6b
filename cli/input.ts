/**
 * Reading a file or standard input, whole.
 *
 * @module
 */
import type { Deps } from "./deps.ts";

export type InputRead = { ok: true; bytes: Uint8Array<ArrayBuffer> } | {
  ok: false;
  message: string;
};

/** `-` is standard input. */
export async function readBytes(
  path: string,
  deps: Pick<Deps, "io" | "readFile">,
  maxBytes: number,
): Promise<InputRead> {
  const name = path === "-" ? "standard input" : path;
  try {
    const bytes = path === "-"
      ? await readStream(deps.io.input(), maxBytes)
      : await deps.readFile(path);
    if (bytes.length <= maxBytes) return { ok: true, bytes };
    return { ok: false, message: `cannot read ${name}: it is over ${sizeText(maxBytes)}` };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `cannot read ${name}: ${why}` };
  }
}

/** Stops reading once it is clear that it is too much; the answer is longer than `maxBytes` then. */
export async function readStream(
  input: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of input) {
    size += piece.byteLength;
    pieces.push(new Uint8Array(piece));
    if (size > maxBytes) break;
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function sizeText(bytes: number): string {
  return bytes < 1024 * 1024 ? `${bytes / 1024} KiB` : `${bytes / 1024 / 1024} MiB`;
}
