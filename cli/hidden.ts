/**
 * Asking the person at the terminal for what must not be seen.
 *
 * @module
 */
import type { Io } from "./deps.ts";

export type Hidden = { ok: true; text: string } | { ok: false; message: string };

const [CTRL_C, CTRL_D, BACKSPACE, LINE_FEED, RETURN, CTRL_U, DELETE] = [3, 4, 8, 10, 13, 21, 127];

/** One line from the terminal, unechoed. The terminal is as it was when this returns. */
export async function askHidden(
  io: Pick<Io, "err" | "input" | "setRaw">,
  question: string,
  maxBytes: number,
): Promise<Hidden> {
  io.err(question);
  io.setRaw(true);
  const typed: number[] = [];
  try {
    for await (const keys of io.input()) {
      for (const code of keys) {
        if (code === RETURN || code === LINE_FEED || code === CTRL_D) return textOf(typed);
        if (code === CTRL_C) return { ok: false, message: "given up" };
        if (code === CTRL_U) typed.length = 0;
        else if (code === BACKSPACE || code === DELETE) eraseLast(typed);
        else typed.push(code);
        if (typed.length > maxBytes) return { ok: false, message: `over ${maxBytes} bytes` };
      }
    }
    return textOf(typed);
  } finally {
    io.setRaw(false);
    io.err("\n");
  }
}

function textOf(typed: readonly number[]): Hidden {
  return { ok: true, text: new TextDecoder().decode(new Uint8Array(typed)) };
}

/** A character may be several bytes: those after the first begin with 10. */
function eraseLast(typed: number[]): void {
  let last: number | undefined;
  do last = typed.pop(); while (last !== undefined && (last & 0xc0) === 0x80);
}
