/**
 * What a probe found, and where it looks.
 *
 * @module
 */

export type ProbeResult =
  | { kind: "pass" }
  /** `output`: one line for people. */
  | { kind: "fail"; output: string }
  /** Nothing was learnt about the task. */
  | { kind: "unknown"; reason: string };

export interface Endpoint {
  hostname: string;
  port: number;
}

/** Bytes of a body or output that are read for the message. */
export const KEPT_BYTES = 1024;
const KEPT_CHARACTERS = 300;

export function failed(output: string): ProbeResult {
  return { kind: "fail", output: oneLine(output) };
}

/** Printable, on one line, and not too long. */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length <= KEPT_CHARACTERS ? line : `${line.slice(0, KEPT_CHARACTERS - 1)}…`;
}
