/**
 * Paths of requests.
 *
 * @module
 */

/** The path of an absolute URL as requests have it, without its query. A parser of URLs is dear. */
export function pathOf(url: string): string {
  return /^\w+:\/\/[^/]*([^?#]*)/.exec(url)?.[1] ?? "";
}
