/**
 * Reading the engine's streams: framed output, lines of JSON. Readers pull, so a slow reader slows
 * the engine and nothing piles up here.
 *
 * @module
 */
import type { Readable } from "node:stream";
import type { OutputChunk } from "../runtime.ts";

const HEADER_BYTES = 8;
/** A line longer than this is no line of the engine's. */
const MAX_LINE_CHARS = 1024 * 1024;

/**
 * The bytes of a stream, until it ends, breaks or `signal` aborts; a break counts as the end. The
 * stream is destroyed when the reader stops.
 */
export async function* bytesOf(
  stream: Readable,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const abort = () => stream.destroy();
  stream.on("error", () => {});
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) return;
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch {
    // Destroyed or broken: for the reader both are the end.
  } finally {
    signal?.removeEventListener("abort", abort);
    stream.destroy();
  }
}

/**
 * Splits the engine's output into stdout and stderr: frames of an 8-byte header (stream, three
 * zeros, length big-endian) and a payload, or, with a terminal, plain stdout. Payloads are passed on
 * as they arrive, so a frame of any length takes no memory.
 */
export async function* demux(
  source: AsyncIterable<Uint8Array>,
  tty: boolean,
): AsyncGenerator<OutputChunk> {
  const header = new Uint8Array(HEADER_BYTES);
  let headerFilled = 0;
  let left = 0;
  for await (const chunk of source) {
    if (tty) {
      yield { stream: "stdout", data: chunk };
      continue;
    }
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const part = chunk.subarray(at, at + HEADER_BYTES - headerFilled);
        header.set(part, headerFilled);
        headerFilled += part.length;
        at += part.length;
        if (headerFilled < HEADER_BYTES) break;
        headerFilled = 0;
        left = new DataView(header.buffer).getUint32(4);
        continue;
      }
      const data = chunk.subarray(at, at + left);
      at += data.length;
      left -= data.length;
      yield { stream: header[0] === 2 ? "stderr" : "stdout", data };
    }
  }
}

/** One parsed value per line. A line that is no JSON is skipped. */
export async function* jsonLines<T>(source: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of source) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARS) rest = "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      let value: T;
      try {
        value = JSON.parse(line);
      } catch {
        continue;
      }
      yield value;
    }
  }
}
