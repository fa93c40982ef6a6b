/**
 * Tables without borders that fit the terminal: columns first use their short form, then shrink,
 * and as a last resort the least important ones go. Pure.
 *
 * @module
 */
import Table from "cli-table3";
import { clip, type Paint, style, widthOf } from "./style.ts";

export interface Column<Row> {
  header: string;
  cell(row: Row): string;
  /** Used when the table is too wide. */
  short?(row: Row): string;
  paint?(row: Row): Paint;
  /** Only with `-o wide`. */
  wide?: true;
  /** Left out when it would be empty. */
  optional?: true;
  /** May be cut down to this width, with an ellipsis. */
  minWidth?: number;
  /** Left out, highest first, when nothing else helps. */
  drop?: number;
}

const GAP = 2;

export interface TableOptions {
  color: boolean;
  /** Absent: as wide as needed. */
  columns?: number;
  wide?: boolean;
}

/** The table as lines, headers first, with a newline at the end. */
export function table<Row>(columns: Column<Row>[], rows: Row[], options: TableOptions): string {
  const shown = columns.filter((column) =>
    (options.wide || !column.wide) &&
    !(column.optional && rows.every((row) => column.cell(row) === ""))
  );
  const fitted = fit(shown, rows, options.columns ?? Infinity);
  const paint = style(options.color);
  const out = new Table({
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  out.push(fitted.map((column) => paint.dim(column.header)));
  for (const [index, row] of rows.entries()) {
    out.push(fitted.map((column) => {
      const text = clip(column.cells[index] ?? "", column.width);
      return options.color && column.paint ? column.paint(row)(text) : text;
    }));
  }
  return out.toString().split("\n").map((line) => line.trimEnd()).join("\n") + "\n";
}

interface Fitted<Row> extends Column<Row> {
  cells: string[];
  width: number;
}

function fit<Row>(columns: Column<Row>[], rows: Row[], width: number): Fitted<Row>[] {
  const measure = (column: Column<Row>, cells: string[]): Fitted<Row> => ({
    ...column,
    cells,
    width: Math.max(widthOf(column.header), ...cells.map(widthOf)),
  });
  const full = columns.map((column) => measure(column, rows.map((row) => column.cell(row))));
  if (totalOf(full) <= width) return full;
  const short = columns.map((column) =>
    measure(column, rows.map((row) => column.short?.(row) ?? column.cell(row)))
  );
  return shrink(short, width);
}

/** Takes from the widest column that may shrink; then leaves out the least important one, and again. */
function shrink<Row>(columns: Fitted<Row>[], width: number): Fitted<Row>[] {
  const floor = columns.map((c) => ({ ...c, width: minWidthOf(c) }));
  if (totalOf(floor) > width) {
    const least = columns.filter((c) => c.drop !== undefined)
      .sort((a, b) => (b.drop ?? 0) - (a.drop ?? 0))[0];
    return least ? shrink(columns.filter((c) => c !== least), width) : floor;
  }
  const fitted = columns.map((c) => ({ ...c }));
  for (let excess = totalOf(fitted) - width; excess > 0; excess--) {
    const widest = fitted.filter((c) => c.width > minWidthOf(c))
      .sort((a, b) => b.width - a.width)[0];
    if (!widest) break;
    widest.width--;
  }
  return fitted;
}

function minWidthOf<Row>(column: Fitted<Row>): number {
  if (column.minWidth === undefined) return column.width;
  return Math.min(column.width, Math.max(column.minWidth, widthOf(column.header)));
}

function totalOf<Row>(columns: Fitted<Row>[]): number {
  return columns.reduce((sum, column) => sum + column.width + GAP, -GAP);
}

const BORDERLESS = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};
