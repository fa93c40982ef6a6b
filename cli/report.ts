/**
 * Saying things: values in the chosen format on stdout, failures and hints on stderr.
 *
 * @module
 */
import type { CallError } from "../api/client.ts";
import type { Deps, Output } from "./deps.ts";
import { EXIT, type ExitCode, exitOf } from "./exit.ts";
import { oneLine, style } from "./format/style.ts";
import type { Column } from "./format/table.ts";

type Says = Pick<Deps, "io" | "view">;

/** Prints what went wrong and what to do next, and returns the exit code. */
export function fail(deps: Says, message: string, next: string, code: ExitCode): ExitCode {
  const paint = style(deps.view.color && deps.io.errIsTty);
  deps.io.err(`${paint.bad("berth:")} ${message}\n`);
  for (const line of next.split("\n")) {
    if (line !== "") deps.io.err(`${paint.dim("  →")} ${line}\n`);
  }
  return code;
}

/** Prints a message whose first line says what happened, and the others what to do. */
export function failLines(deps: Says, message: string, code: ExitCode): ExitCode {
  const [what = "", ...next] = message.split("\n");
  return fail(deps, what, next.join("\n"), code);
}

/**
 * Prints a failed call. `doing` says what was tried: "cannot stop web". `next` replaces the usual
 * advice.
 */
export function failCall(deps: Says, error: CallError, doing: string, next?: string): ExitCode {
  const advice = next ?? whatNext(error);
  return fail(deps, `${doing}: ${whatHappened(error)}`, advice, exitOf(error));
}

/** The error with its fields called as the user knows them. */
export function naming(error: CallError, nameOf: (field: string) => string): CallError {
  if (error.kind !== "problem" || !error.problem.errors) return error;
  const errors = error.problem.errors.map((e) => ({ ...e, field: nameOf(e.field) }));
  return { ...error, problem: { ...error.problem, errors } };
}

function whatHappened(error: CallError): string {
  if (error.kind !== "problem") return oneLine(error.message);
  const { title, detail, errors } = error.problem;
  const fields = (errors ?? []).map((e) => `\n    ${e.field}: ${oneLine(e.message)}`).join("");
  return oneLine(detail ?? title) + fields;
}

function whatNext(error: CallError): string {
  if (error.kind === "unreachable") {
    return "see which server is meant: berth context show\nstart one on this machine: deno task dev";
  }
  if (error.kind === "protocol") {
    return "check the address, and that both versions match: berth version";
  }
  const code = exitOf(error);
  // The server speaks of requests and headers; these are about commands and flags.
  if (code === EXIT.unauthorised) {
    return "give a valid token: --token, BERTH_TOKEN, or berth context use NAME";
  }
  if (code === EXIT.notFound) return `see what there is: ${listing(error.problem.detail ?? "")}`;
  if (error.problem.hint) return oneLine(error.problem.hint);
  switch (code) {
    case EXIT.conflict:
      return "it changed meanwhile or exists already: look with berth inspect, then try again";
    case EXIT.usage:
      return "correct the value and try again";
    default:
      return "try again; the server's log and berth status tell more";
  }
}

/** What lists the kind of thing that is not there, by the words of whoever looked for it. */
function listing(detail: string): string {
  const kind = /^there is no (node|volume|secret|config|registry)\b/.exec(detail)?.[1];
  if (kind === undefined) return "berth ps -a, berth services, berth nodes";
  return kind === "node" ? "berth nodes" : `berth ${kind} ls`;
}

/**
 * Asks the person at the terminal before something is destroyed. `nobody`: there is none to ask, and
 * `--yes` does not stand for one.
 */
export function asked(
  { io, view }: Pick<Deps, "io" | "view">,
  question: string,
): "yes" | "no" | "nobody" {
  if (view.yes) return "yes";
  if (!io.inIsTty || !io.errIsTty && !io.outIsTty || view.quiet) return "nobody";
  return io.confirm(question) ? "yes" : "no";
}

/** A remark for people at a terminal; scripts do not see it. */
export function hint(deps: Says, text: string): void {
  const { io, view } = deps;
  if (io.errIsTty && !view.quiet) io.err(style(view.color).dim(text) + "\n");
}

/** Prints a value as JSON or YAML, or as the template has it. */
export async function printValue(deps: Says, value: unknown, output: Output): Promise<void> {
  const { template } = deps.view;
  if (template) deps.io.out(template.renderAll(Array.isArray(value) ? value : [value]));
  else if (output === "yaml") {
    const { stringify } = await import("yaml");
    deps.io.out(stringify(value, { lineWidth: 0 }));
  } else {
    deps.io.out(JSON.stringify(value, null, 2) + "\n");
  }
}

export interface Listing<Row> {
  rows: Row[];
  columns: Column<Row>[];
  /** What `--quiet` prints of a row. */
  name(row: Row): string;
  /** Said to people when there are no rows. */
  empty: string;
}

/** Prints a list in the chosen format: table, wide table, JSON, YAML, or names only. */
export async function printList<Row>(deps: Says, listing: Listing<Row>): Promise<ExitCode> {
  const { io, view } = deps;
  const { rows } = listing;
  if (view.output === "json" || view.output === "yaml") await printValue(deps, rows, view.output);
  else if (view.quiet) { for (const row of rows) io.out(listing.name(row) + "\n"); }
  else if (rows.length === 0) io.err(listing.empty + "\n");
  else {
    const { table } = await import("./format/table.ts");
    const wide = view.output === "wide";
    io.out(table(listing.columns, rows, {
      color: view.color,
      wide,
      ...(view.columns === undefined ? {} : { columns: view.columns }),
    }));
  }
  return EXIT.ok;
}
