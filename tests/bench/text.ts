/**
 * Figures as people read them, and tables of them in Markdown. Pure.
 *
 * @module
 */

/** By the unit at the end of a figure's name: `readyMs`, `perSecond`, `ratio`. */
export function figureText(name: string, value: number): string {
  const number = Math.abs(value) >= 1000
    ? Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",")
    : String(value);
  if (/Ms$/.test(name)) return `${number} ms`;
  if (/MiB(PerHour)?$/.test(name)) return `${number} MiB${/PerHour$/.test(name) ? " / h" : ""}`;
  if (/Percent$/.test(name)) return `${number} %`;
  if (/PerSecond$|^perSecond$/.test(name)) return `${number} / s`;
  if (/ratio$/i.test(name)) return `${number} ×`;
  return number;
}

/** A table; `deno fmt` aligns it. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** The cells of the first table in a text, without its head. */
export function cellsOf(text: string): string[][] {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => /^\|( ?-+ ?\|)+$/.test(line.replaceAll(":", "-")));
  const rows: string[][] = [];
  if (from < 0) return rows;
  for (const line of lines.slice(from + 1)) {
    if (!line.startsWith("|")) break;
    rows.push(line.split("|").slice(1, -1).map((cell) => cell.trim()));
  }
  return rows;
}
