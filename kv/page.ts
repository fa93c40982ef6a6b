/**
 * Pages of lists. A cursor names the first row of the next page, so that rows which come and go in
 * between neither repeat nor hide others.
 *
 * @module
 */
import { done, type Outcome, refuse } from "./outcome.ts";

export interface Page<T> {
  items: T[];
  /** Cursor of the next page; absent on the last one. */
  next?: string;
}

export interface PageQuery {
  /** Rows a page, 1 to 500. */
  limit: number;
  cursor?: string;
}

const PART = /^[A-Za-z0-9._-]{1,64}$/;

/** Makes an opaque cursor from the parts of a key. */
export function encodeCursor(parts: readonly string[]): string {
  return btoa(parts.join("/")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads a cursor of `count` parts back; refuses anything that is not one. */
export function decodeCursor(cursor: string, count: number): Outcome<string[]> {
  try {
    const parts = atob(cursor.replaceAll("-", "+").replaceAll("_", "/")).split("/");
    if (parts.length === count && parts.every((part) => PART.test(part))) return done(parts);
  } catch {
    // Not base64: refused below, like everything that is not a cursor.
  }
  return refuse("invalid", "the cursor is not one that this list gave out", {
    hint: "Pass `next` of the previous page unchanged, or leave `cursor` out.",
    errors: [{ field: "query.cursor", message: "must be `next` of a previous page of this list" }],
  });
}
