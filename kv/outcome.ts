/**
 * How named operations answer: what they made, or why they refused. Refusals are expected; the API
 * turns each kind into a status, and passes the sentences on.
 *
 * @module
 */

/**
 * - `not-found`: no such object. `name-taken`: the name belongs to another one.
 * - `port-taken`: the cluster listens on the port for another service. `route-taken`: requests for that
 *   host and path go to another one.
 * - `ambiguous`: the reference fits several. `busy`: the object's state forbids it now.
 * - `changed`: it is not at the version that the caller named.
 * - `key-reused`: the idempotency key stands for another request.
 * - `too-large`: it does not fit into a row. `invalid`: `errors` names the fields.
 * - `not-yours`: the caller may not do this to that object.
 */
export type RefusalKind =
  | "not-found"
  | "name-taken"
  | "port-taken"
  | "route-taken"
  | "ambiguous"
  | "busy"
  | "changed"
  | "key-reused"
  | "too-large"
  | "invalid"
  | "not-yours";

export interface Refusal {
  kind: RefusalKind;
  /** What happened, to which object. */
  detail: string;
  /** What to do next. */
  hint?: string;
  errors?: { field: string; message: string }[];
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refuse(
  kind: RefusalKind,
  detail: string,
  more: { hint?: string; errors?: { field: string; message: string }[] } = {},
): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { kind, detail, ...more } };
}

/** What a write answers. `replay` is the status of the first answer, when this is a repetition. */
export interface Written<T> {
  value: T;
  replay?: number;
}

/** Attempts of an optimistic write before it gives up. Each loss means that another one won. */
export const WRITE_ATTEMPTS = 8;

export function tooManyConflicts(what: string) {
  return refuse("busy", `${what} kept changing while this request tried to change it`, {
    hint: "Repeat the request.",
  });
}
