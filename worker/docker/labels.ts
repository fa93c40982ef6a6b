/**
 * The labels that an engine was given at its start. Pure.
 *
 * @module
 */
import { LABEL_KEY } from "../../kv/schema/common.ts";

const MAX_LABELS = 64;
const MAX_VALUE = 1024;

/** From the engine's `key=value` lines; what is no label by Berth's rules is left out. */
export function engineLabels(lines: readonly string[]): Record<string, string> {
  const labels: [string, string][] = [];
  for (const line of lines) {
    const at = line.indexOf("=");
    const [key, value] = at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    if (LABEL_KEY.test(key) && value.length <= MAX_VALUE) labels.push([key, value]);
  }
  return Object.fromEntries(labels.slice(0, MAX_LABELS));
}
