/**
 * Values as Compose writes them: sizes, durations, switches. Pure.
 *
 * @module
 */

const SIZES: Record<string, number> = {
  "": 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** `64m`, `1.5gb`, `512`: in bytes; -1 stands for no limit. */
export function bytesOf(text: string): number | undefined {
  if (text === "-1") return -1;
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text);
  const unit = SIZES[(match?.[2] ?? "").toLowerCase()];
  return match?.[1] === undefined || unit === undefined
    ? undefined
    : Math.round(Number(match[1]) * unit);
}

const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** `1m30s`, `500ms`, `0`: in ms. */
export function durationMs(text: string): number | undefined {
  if (/^0+$/.test(text)) return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join("") !== text) return undefined;
  return Math.round(
    parts.reduce((sum, [, many, unit]) => sum + Number(many) * (UNITS[unit ?? ""] ?? 0), 0),
  );
}

/** A switch, in the words that Compose takes for one. */
export function flagOf(value: unknown): boolean | undefined {
  if (typeof value === "boolean") return value;
  const word = String(value).toLowerCase();
  if (["true", "1", "yes", "y", "on"].includes(word)) return true;
  if (["false", "0", "no", "n", "off"].includes(word)) return false;
  return undefined;
}

/** A number, written as one or as text. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" && /^[+-]?\d*\.?\d+$/.test(value) ? Number(value) : undefined;
}

export function integerOf(value: unknown): number | undefined {
  const number = numberOf(value);
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}

/** A file mode: octal when it begins with a 0 or is text, as in Compose. */
export function modeOf(text: string): number | undefined {
  const octal = /^0?o?([0-7]{1,4})$/.exec(text);
  return octal?.[1] === undefined ? undefined : parseInt(octal[1], 8);
}

/** The words of a command line, with quotes and escapes as a shell reads them; variables are left. */
export function shellWords(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const letter = line[i] ?? "";
    if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === "'") {
      const end = line.indexOf("'", i + 1);
      if (end === -1) return undefined;
      word = (word ?? "") + line.slice(i + 1, end);
      i = end;
    } else if (letter === '"') {
      word ??= "";
      for (i++; i < line.length && line[i] !== '"'; i++) {
        if (line[i] === "\\" && /["\\$`\n]/.test(line[i + 1] ?? "")) i++;
        word += line[i];
      }
      if (i >= line.length) return undefined;
    } else if (letter === "\\") {
      i++;
      if (i < line.length && line[i] !== "\n") word = (word ?? "") + line[i];
    } else word = (word ?? "") + letter;
  }
  if (word !== undefined) words.push(word);
  return words;
}
