/**
 * What a command is, without the framework that parses it: its flags as data, and a function from
 * typed options to an exit code. `main.ts` turns these into commander's commands; another framework
 * would only replace that file.
 *
 * @module
 */
import type { ExitCode } from "./exit.ts";
import type { Deps, ServerDeps } from "./deps.ts";

/** A value read from text, or why it cannot be: a phrase that follows "is invalid:". */
export type Parsed<T> = { ok: true; value: T } | { ok: false; message: string };
export type Parser<T> = (text: string) => Parsed<T>;

/** One flag. `T` is what the command receives for it. */
export interface OptionSpec<T> {
  /** In the usual notation: `-d, --detach`, `--name <name>`. */
  flags: string;
  help: string;
  kind: "flag" | "value" | "list";
  parse?: Parser<unknown>;
  choices?: readonly string[];
  /** Under which title its help shows it. */
  heading?: string;
  /** Never present: it carries the type. */
  readonly type?: T;
}

export type OptionSpecs = Record<string, OptionSpec<unknown>>;
export type OptionsOf<S extends OptionSpecs> = {
  [K in keyof S]: S[K] extends OptionSpec<infer T> ? T : never;
};

/** A switch: false unless given. */
export function flag(flags: string, help: string): OptionSpec<boolean> {
  return { flags, help, kind: "flag" };
}

/** A flag with a value: `undefined` unless given. */
export function value(flags: string, help: string): OptionSpec<string | undefined>;
export function value<T>(
  flags: string,
  help: string,
  parse: Parser<T>,
): OptionSpec<T | undefined>;
export function value(
  flags: string,
  help: string,
  parse?: Parser<unknown>,
): OptionSpec<unknown> {
  return { flags, help, kind: "value", ...(parse ? { parse } : {}) };
}

/** A flag with one of a few values. */
export function choice<const T extends readonly string[]>(
  flags: string,
  help: string,
  choices: T,
): OptionSpec<T[number] | undefined> {
  return { flags, help, kind: "value", choices };
}

/** A flag that may be repeated: `[]` unless given. */
export function list(flags: string, help: string): OptionSpec<string[]>;
export function list<T>(flags: string, help: string, parse: Parser<T>): OptionSpec<T[]>;
export function list(
  flags: string,
  help: string,
  parse?: Parser<unknown>,
): OptionSpec<unknown> {
  return { flags, help, kind: "list", ...(parse ? { parse } : {}) };
}

/** Flags whose help stands together, under a title. */
export function under<const S extends OptionSpecs>(heading: string, specs: S): S {
  const titled = Object.entries(specs).map(([name, spec]) => [name, { ...spec, heading }]);
  return Object.fromEntries(titled) as S;
}

interface CommandBase<S extends OptionSpecs> {
  /** With spaces for a subcommand: `node ls`. */
  name: string;
  group: string;
  summary: string;
  /** More about it, shown in its own help. */
  details?: string;
  /** Positional arguments in the usual notation: `<image> [command...]`. */
  args?: string;
  /** What completes the first positional argument. */
  completes?: "services" | "tasks" | "nodes" | "contexts";
  options: S;
  /** Lines of `[command line, what it does]`. At least one. */
  examples: readonly (readonly [string, string])[];
  /** What follows the first positional argument belongs to the user's command, flags included. */
  passThrough?: true;
  /** The exit code of Berth's own failures, when the command passes on another program's code. */
  ownFailure?: ExitCode;
}

/** A command that talks to the server: a client is made before it runs. */
export interface ServerCommand<S extends OptionSpecs = OptionSpecs> extends CommandBase<S> {
  needs: "server";
  run(options: OptionsOf<S>, args: string[], deps: ServerDeps): Promise<ExitCode>;
}

/** A command that works without a server, or finds one by itself. */
export interface LocalCommand<S extends OptionSpecs = OptionSpecs> extends CommandBase<S> {
  needs: "nothing";
  run(options: OptionsOf<S>, args: string[], deps: Deps): Promise<ExitCode>;
}

/** A command whose options' types are forgotten, as the table holds it. */
export type AnyCommand = ServerCommand | LocalCommand;

export function serverCommand<S extends OptionSpecs>(
  command: Omit<ServerCommand<S>, "needs">,
): AnyCommand {
  return { ...command, needs: "server" };
}

export function localCommand<S extends OptionSpecs>(
  command: Omit<LocalCommand<S>, "needs">,
): AnyCommand {
  return { ...command, needs: "nothing" };
}
