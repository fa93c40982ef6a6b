/**
 * What a simulated container or exec does: a very small part of a shell, enough for tests and for
 * stories told without an engine. Pure, apart from {@link run}, which takes its clock.
 *
 * Understood as argv, or as statements of `sh -c "…; …"`:
 * - `echo WORDS [>&2]` writes a line; `sleep SECONDS` waits; `sleep infinity` and `while …` never end
 * - `exit N`, `true`, `false`; `cat` copies standard input until it ends
 * - `trap 'exit N' SIGNAL` exits with N on that signal; `trap '' SIGNAL` ignores it
 *
 * Every other command is unknown: the caller decides what that means. A signal without a trap ends
 * the program with 128 + its number.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import type { OutputChunk } from "../runtime.ts";

export type Step =
  | { kind: "write"; stream: OutputChunk["stream"]; text: string }
  | { kind: "sleep"; ms: number }
  | { kind: "exit"; code: number }
  | { kind: "cat" }
  | { kind: "forever" }
  | { kind: "unknown"; command: string };

export interface Program {
  steps: Step[];
  /** By signal name without `SIG`: the exit code, or `ignore`. */
  traps: Map<string, number | "ignore">;
}

const SIGNAL_NUMBERS: Record<string, number> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
};

/** Reads a command line. An empty one is a program that runs until it is stopped. */
export function programOf(argv: readonly string[]): Program {
  const program: Program = { steps: [], traps: new Map() };
  if (argv.length === 0) {
    program.steps.push({ kind: "forever" });
  } else if (/(^|\/)sh$/.test(argv[0] ?? "") && argv[1] === "-c") {
    for (const statement of (argv[2] ?? "").split(/\s*(?:;|\n|&&)\s*/)) {
      if (statement === "") continue;
      readStatement(program, statement);
      if (program.steps.at(-1)?.kind === "forever") break;
    }
  } else {
    const [name = "", ...rest] = argv;
    readCommand(program, name, rest.join(" "));
  }
  return program;
}

function readStatement(program: Program, statement: string): void {
  const trap = /^trap\s+(["'])(?:exit\s+(\d+))?\1\s+(?:SIG)?([A-Z0-9]+)$/.exec(statement);
  if (trap?.[3]) {
    program.traps.set(trap[3], trap[2] === undefined ? "ignore" : Number(trap[2]));
    return;
  }
  const space = statement.search(/\s|$/);
  readCommand(program, statement.slice(0, space), statement.slice(space).trim(), true);
}

function readCommand(program: Program, name: string, args: string, shell = false): void {
  const { steps } = program;
  switch (name) {
    case "echo": {
      const toStderr = shell && /\s*>&2$/.test(args);
      const words = toStderr ? args.replace(/\s*>&2$/, "") : args;
      const text = shell ? words.replace(/^(["'])(.*)\1$/, "$2") : words;
      steps.push({ kind: "write", stream: toStderr ? "stderr" : "stdout", text: `${text}\n` });
      return;
    }
    case "sleep": {
      const ms = Number(args) * 1000;
      steps.push(Number.isFinite(ms) ? { kind: "sleep", ms } : { kind: "forever" });
      return;
    }
    case "exit":
      steps.push({ kind: "exit", code: Number(args) || 0 });
      return;
    case "true":
      return;
    case "false":
      steps.push({ kind: "exit", code: 1 });
      return;
    case "cat":
      steps.push({ kind: "cat" });
      return;
    case "while":
      steps.push({ kind: "forever" });
      return;
    default:
      steps.push({ kind: "unknown", command: [name, args].join(" ").trim() });
  }
}

/** How `program` answers a signal: its exit code, or `ignore`. Nothing survives KILL. */
export function onSignal(program: Program, name: string): number | "ignore" {
  const signal = name.replace(/^SIG/, "");
  const byDefault = 128 + (SIGNAL_NUMBERS[signal] ?? 15);
  return signal === "KILL" ? byDefault : program.traps.get(signal) ?? byDefault;
}

export interface ProgramIo {
  clock: Clock;
  /** Aborts when the program is ended from outside. */
  signal: AbortSignal;
  write(stream: OutputChunk["stream"], data: Uint8Array): void;
  input?: AsyncIterable<Uint8Array>;
}

/**
 * Runs the steps. Resolves with the exit code, or with `forever` when the program reached the point
 * from which only a signal ends it (nothing is pending then), or was ended from outside.
 */
export async function run(program: Program, io: ProgramIo): Promise<number | "forever"> {
  const encoder = new TextEncoder();
  for (const step of program.steps) {
    if (io.signal.aborted) return "forever";
    switch (step.kind) {
      case "write":
        io.write(step.stream, encoder.encode(step.text));
        break;
      case "sleep":
        await io.clock.sleep(step.ms, io.signal);
        break;
      case "exit":
        return step.code;
      case "cat":
        for await (const data of io.input ?? []) io.write("stdout", data);
        break;
      case "forever":
        return "forever";
      case "unknown":
        io.write("stderr", encoder.encode(`sh: ${step.command}: not found\n`));
        return 127;
    }
  }
  return io.signal.aborted ? "forever" : 0;
}
