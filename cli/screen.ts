/**
 * A terminal's screen that is drawn again and again in place, and the keys that are pressed meanwhile.
 *
 * The terminal is left as it was found, however this ends: the owner must close it.
 *
 * @module
 */
import type { Io } from "./deps.ts";

export interface Screen {
  /** Shows these lines from the top; what does not fit is left out. */
  draw(lines: readonly string[]): void;
  close(): void;
}

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const CTRL_C = 3;

/** `onKey` gets single characters; Ctrl-C comes as `q`. */
export function openScreen(io: Io, onKey: (key: string) => void): Screen {
  io.out(ENTER);
  if (io.inIsTty) io.setRaw(true);
  const reader = io.inIsTty ? io.input().getReader() : undefined;
  const pump = async () => {
    while (reader) {
      const { done, value } = await reader.read();
      if (done) return onKey("q");
      for (const byte of value) onKey(byte === CTRL_C ? "q" : String.fromCharCode(byte));
    }
  };
  // A terminal that went away reads as the end.
  void pump().catch(() => onKey("q"));
  return {
    draw(lines) {
      const rows = io.size()?.rows ?? 24;
      const shown = lines.slice(0, rows);
      io.out("\x1b[H" + shown.map((line) => `${line}\x1b[K`).join("\r\n") + "\x1b[J");
    },
    close() {
      if (io.inIsTty) io.setRaw(false);
      void reader?.cancel().catch(() => {});
      io.out(LEAVE);
    },
  };
}
