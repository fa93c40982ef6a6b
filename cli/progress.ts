/**
 * One line on stderr that says what is being waited for. Silent unless stderr is a terminal.
 *
 * @module
 */
import type { Deps } from "./deps.ts";
import { clip, oneLine, style } from "./format/style.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;

export interface Progress {
  update(text: string): void;
  /** Clears the line. The owner must call it; it may be called again. */
  stop(): void;
}

export function startProgress(deps: Pick<Deps, "io" | "view">, text: string): Progress {
  const { io, view } = deps;
  if (!io.errIsTty || view.quiet) return { update() {}, stop() {} };
  const paint = style(view.color);
  let current = oneLine(text);
  let frame = 0;
  const draw = () => {
    const width = (io.size()?.columns ?? 80) - 4;
    const spinner = paint.accent(FRAMES[frame++ % FRAMES.length] ?? "");
    io.err(`\r\x1b[2K${spinner} ${clip(current, width)}`);
  };
  draw();
  let timer: ReturnType<typeof setInterval> | undefined = setInterval(draw, FRAME_MS);
  return {
    update(next) {
      current = oneLine(next);
    },
    stop() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      io.err("\r\x1b[2K");
    },
  };
}
