/**
 * Cuts streams of bytes into whole lines, so that the output of several tasks can be interleaved.
 * Pure but for its own memory.
 *
 * @module
 */

const NEWLINE = 10;
/** A line longer than this is cut: memory stays bounded whatever a container prints. */
const MAX_LINE_BYTES = 64 * 1024;

export interface LineCutter {
  /** The lines that `data` completes, each with its newline. */
  push(data: Uint8Array): Uint8Array[];
  /** What is left at the end, with a newline added. */
  flush(): Uint8Array[];
}

export function lineCutter(): LineCutter {
  let rest = new Uint8Array(0);
  return {
    push(data) {
      const all = concat(rest, data);
      const lines: Uint8Array[] = [];
      let from = 0;
      for (let at = all.indexOf(NEWLINE); at >= 0; at = all.indexOf(NEWLINE, from)) {
        lines.push(all.subarray(from, at + 1));
        from = at + 1;
      }
      rest = all.slice(from);
      while (rest.length > MAX_LINE_BYTES) {
        lines.push(withNewline(rest.subarray(0, MAX_LINE_BYTES)));
        rest = rest.slice(MAX_LINE_BYTES);
      }
      return lines;
    },
    flush() {
      if (rest.length === 0) return [];
      const line = withNewline(rest);
      rest = new Uint8Array(0);
      return [line];
    },
  };
}

export function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function withNewline(line: Uint8Array): Uint8Array {
  return concat(line, Uint8Array.of(NEWLINE));
}
