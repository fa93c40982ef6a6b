/**
 * Colour and width of text. Pure.
 *
 * @module
 */

export type Paint = (text: string) => string;

/** Paints by meaning rather than by colour. */
export interface Style {
  good: Paint;
  busy: Paint;
  bad: Paint;
  accent: Paint;
  dim: Paint;
  strong: Paint;
  /** One of a few calm colours, the same for the same number. */
  nth(index: number): Paint;
}

const NTH = [36, 35, 34, 33, 32, 96, 95, 94];

export function style(color: boolean): Style {
  const sgr = (code: number, off: number): Paint => (text) =>
    color && text !== "" ? `\x1b[${code}m${text}\x1b[${off}m` : text;
  return {
    good: sgr(32, 39),
    busy: sgr(33, 39),
    bad: sgr(31, 39),
    accent: sgr(36, 39),
    dim: sgr(2, 22),
    strong: sgr(1, 22),
    nth: (index) => sgr(NTH[index % NTH.length] ?? 36, 39),
  };
}

// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b\[[0-9;?]*[A-Za-z]/g;

/** The text without its escape sequences. */
export function plain(text: string): string {
  return text.replace(ESCAPES, "");
}

/** Code points shown: enough for the names and sentences that Berth prints. */
export function widthOf(text: string): number {
  return [...plain(text)].length;
}

/**
 * Text from elsewhere (messages of engines, names, output), made safe for a terminal: on one line and
 * without control characters.
 */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return plain(text).replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim();
}

/** At most `width` characters, with an ellipsis when cut. */
export function clip(text: string, width: number): string {
  const points = [...text];
  return points.length <= width ? text : points.slice(0, Math.max(0, width - 1)).join("") + "…";
}
