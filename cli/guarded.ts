/**
 * How the program ends when what it does throws.
 *
 * @module
 */
import type { Io } from "./deps.ts";
import { EXIT, type ExitCode } from "./exit.ts";

/** Ends quietly when the reader of a pipe has gone, and in one line when Berth has a bug. */
export async function guarded(io: Io, run: () => Promise<ExitCode>): Promise<ExitCode> {
  addEventListener("error", endWithReader);
  addEventListener("unhandledrejection", endWithReader);
  try {
    return await run();
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return EXIT.brokenPipe;
    const what = error instanceof Error ? error.stack ?? error.message : String(error);
    io.err(`berth: unexpected error, a bug: ${what}\n`);
    return EXIT.failed;
  }
}

/** The reader may go while something is written that nobody waits for: from a timer, or a stream beside. */
function endWithReader(event: ErrorEvent | PromiseRejectionEvent): void {
  const error = event instanceof ErrorEvent ? event.error : event.reason;
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.brokenPipe);
}
