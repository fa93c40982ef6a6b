/**
 * The real standard streams.
 *
 * @module
 */
import type { Io } from "./deps.ts";

export function terminal(): Io {
  const encoder = new TextEncoder();
  const stdout = (data: Uint8Array) => writeAll(Deno.stdout, data);
  const stderr = (data: Uint8Array) => writeAll(Deno.stderr, data);
  return {
    out: (text) => stdout(encoder.encode(text)),
    err: (text) => stderr(encoder.encode(text)),
    outBytes: stdout,
    errBytes: stderr,
    outIsTty: Deno.stdout.isTerminal(),
    errIsTty: Deno.stderr.isTerminal(),
    inIsTty: Deno.stdin.isTerminal(),
    size() {
      try {
        const size = Deno.consoleSize();
        return size.columns > 0 && size.rows > 0 ? size : undefined;
      } catch {
        return undefined; // No terminal at all.
      }
    },
    input: () => Deno.stdin.readable,
    setRaw: (on) => Deno.stdin.setRaw(on),
    confirm: (question) => confirm(question),
    onSignal(signal, handler) {
      Deno.addSignalListener(signal, handler);
      return () => Deno.removeSignalListener(signal, handler);
    },
  };
}

const FULL_PIPE_MS = 2;

/** A terminal or pipe may take less than all of it, or be full for a moment. */
function writeAll(stream: { writeSync(data: Uint8Array): number }, data: Uint8Array): void {
  let at = 0;
  while (at < data.length) {
    try {
      at += stream.writeSync(data.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}
