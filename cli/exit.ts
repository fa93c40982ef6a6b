/**
 * Exit codes: what scripts may rely on. `berth --help` prints this table.
 *
 * @module
 */
import type { CallError } from "../api/client.ts";

export type ExitCode = number;

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unauthorised: 5,
  unreachable: 6,
  timeout: 7,
  /** Berth's own failure, in commands that pass on another program's exit code. */
  own: 125,
  interrupted: 130,
  brokenPipe: 141,
} as const;

export const EXIT_HELP: readonly (readonly [string, string])[] = [
  ["0", "done"],
  ["1", "failed"],
  ["2", "wrong usage, or the server refused a value"],
  ["3", "not found"],
  ["4", "conflict: changed meanwhile, exists already, or still running"],
  ["5", "not authorised"],
  ["6", "server unreachable"],
  ["7", "timed out, or cannot be placed"],
  ["125", "run, exec, attach: Berth's own failure; else the command's own code"],
];

/** The exit code for a failed call. */
export function exitOf(error: CallError): ExitCode {
  if (error.kind === "unreachable") return EXIT.unreachable;
  if (error.kind === "protocol") return EXIT.failed;
  switch (error.problem.status) {
    case 400:
    case 413:
    case 422:
      return EXIT.usage;
    case 401:
    case 403:
      return EXIT.unauthorised;
    case 404:
    case 410:
      return EXIT.notFound;
    case 409:
    case 412:
    case 428:
      return EXIT.conflict;
    case 502:
    case 503:
      return EXIT.unreachable;
    case 408:
    case 504:
      return EXIT.timeout;
    default:
      return EXIT.failed;
  }
}
