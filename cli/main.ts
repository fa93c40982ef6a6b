/**
 * `berth`: the composition root of the command line. It alone reads arguments and environment, and
 * it alone knows the command framework: what the commands are is in catalog/.
 *
 * @module
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { clusterCommands, localCommands, programCommands } from "./catalog/cluster.ts";
import { composeCommands } from "./catalog/compose.ts";
import { dataCommands } from "./catalog/data.ts";
import { forecastCommands } from "./catalog/forecast.ts";
import { GLOBAL, type GlobalOptions } from "./catalog/global.ts";
import { rolloutCommands } from "./catalog/rollout.ts";
import { trafficCommands } from "./catalog/traffic.ts";
import { ingressCommands } from "./catalog/ingress.ts";
import { lookCommands, serviceLs } from "./catalog/look.ts";
import { modeCommands } from "./catalog/modes.ts";
import { nodeCommands } from "./catalog/nodes.ts";
import { operateCommands } from "./catalog/operate.ts";
import { runCommands } from "./catalog/run.ts";
import type { AnyCommand, OptionSpec, OptionSpecs } from "./command.ts";
import { COMPLETION, completionCommand, namesToComplete } from "./completion.ts";
import type { Deps, Io } from "./deps.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { examplesText, rootText } from "./format/help.ts";
import { style } from "./format/style.ts";
import { processDeps } from "./process_deps.ts";
import { guarded } from "./guarded.ts";
import { failLines } from "./report.ts";
import { terminal } from "./terminal.ts";

/** The version in deno.json; a test compares them. */
export const VERSION = "0.1.0";

/** The command table. */
export const COMMANDS: readonly AnyCommand[] = [
  ...runCommands,
  ...composeCommands,
  ...modeCommands,
  ...rolloutCommands,
  ...lookCommands,
  ...operateCommands,
  ...trafficCommands,
  ...ingressCommands,
  serviceLs,
  ...dataCommands,
  ...forecastCommands,
  ...clusterCommands,
  ...nodeCommands,
  ...localCommands,
  ...programCommands(VERSION),
  completionCommand(async (shell) => {
    (await import("@bomb.sh/tab")).default.setup("berth", "berth", shell);
  }),
];

const GROUPS: Record<string, string> = {
  rollout: "Rollouts: status, history, undo, pause, resume, promote",
  service: "List services: berth service ls",
  secret: "Secrets: create, rotate, ls, inspect, rm; configs alike",
  registry: "Registries with credentials: ls",
  volume: "Volumes: ls, inspect, backup, restore, rm",
  job: "Runs of jobs: run, ls",
  ingress: "The proxy that serves routes: enable, disable, status",
  node: "Nodes: ls, drain, cordon, label, rm, …",
  context: "Known servers: ls, use, add, set, rm, show",
};

/** The commands that write files, or to the engine's socket: up builds images. */
const WRITERS = new Set(["context", "cp", "dev", "demo", "volume", "up"]);

/**
 * The commands that a line can mean. Making all of them takes longer than what most of them do; who
 * misspells one, or wants to see them, gets all.
 */
function commandsFor([first = ""]: string[]): readonly AnyCommand[] {
  const meant = COMMANDS.filter(({ name }) => name.split(" ")[0] === first);
  return meant.length > 0 ? meant : COMMANDS;
}

/** `help node drain` is `node drain --help`; what there is not is as unknown as without `help`. */
function asFlag(args: string[]): string[] {
  const [help, first, second] = args;
  if (help !== "help" || first === undefined) return help === "help" ? ["--help"] : args;
  const names = COMMANDS.map(({ name }) => name);
  const inner = names.filter((name) => name.startsWith(`${first} `));
  if (inner.length === 0 && !names.includes(first)) return [first];
  const isUnknown = second !== undefined && !inner.includes(`${first} ${second}`);
  if (isUnknown && inner.length > 0 && !names.includes(first)) return [first, second];
  return [...args.slice(1), "--help"];
}

/** Runs one command line. Nothing is read but what is passed in, and what `makeDeps` makes. */
export async function main(
  given: string[],
  io: Io,
  makeDeps: (globals: GlobalOptions) => Deps,
): Promise<ExitCode> {
  const args = asFlag(given);
  let code: ExitCode = EXIT.ok;
  const completing = args[0] === "complete";
  const color = io.outIsTty && !args.includes("--no-color") && !Deno.noColor;
  const names = completing ? await namesToComplete(args, COMMANDS, makeDeps) : [];
  const program = newProgram(io, color);
  const parents = new Map<string, Command>();
  for (const spec of completing ? COMMANDS : commandsFor(args)) {
    const [first = "", second] = spec.name.split(" ");
    const parent = second === undefined ? program : group(program, parents, first);
    const command = parent.command(second ?? first).summary(spec.summary);
    // A command may have subcommands beside what it does by itself: config.
    if (second === undefined) parents.set(first, command.helpCommand(false));
    // A shell takes each line of what is completed for a word of its own.
    const more = completing || !spec.details ? "" : `.\n\n${spec.details}`;
    command.description(completing ? spec.summary : `${spec.summary}${more || "."}`);
    if (second === undefined) command.helpGroup(spec.group);
    addArguments(command, spec, names);
    for (const option of Object.values(spec.options)) command.addOption(toOption(option));
    for (const option of Object.values(GLOBAL)) {
      command.addOption(completing ? toOption(option) : toOption(option).hideHelp());
    }
    if (spec.passThrough) command.passThroughOptions();
    command.addHelpText("after", examplesText(spec, color));
    command.showHelpAfterError(`  → berth ${spec.name} --help`);
    command.action(async () => {
      const globals = read(GLOBAL, { ...program.opts(), ...onLine(command) }) as GlobalOptions;
      code = await execute(
        spec,
        read(spec.options, command.opts()),
        command.args,
        makeDeps(globals),
      );
    });
  }
  try {
    if (completing) {
      const { default: tab } = await import("@bomb.sh/tab/commander");
      remove(program, COMPLETION);
      tab(program, { completionCommandName: COMPLETION });
    }
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return code;
}

async function execute(
  spec: AnyCommand,
  options: Record<string, unknown>,
  args: string[],
  deps: Deps,
): Promise<ExitCode> {
  if (spec.needs === "nothing") return await spec.run(options, args, deps);
  const connection = await deps.connection();
  if (!connection.ok) {
    return failLines(deps, connection.message, spec.ownFailure ?? EXIT.usage);
  }
  const { target } = connection;
  return await spec.run(options, args, { ...deps, target, client: await deps.connect(target) });
}

function newProgram(io: Io, color: boolean): Command {
  const paint = style(color);
  const program = new Command("berth").version(
    VERSION,
    "-V, --version",
    "Print the version",
  )
    .description("Runs containers across machines.").usage("<command> [flags]")
    .enablePositionalOptions().exitOverride().helpCommand(false)
    .helpOption("-h, --help", "Show help").showHelpAfterError("  → berth --help")
    .configureHelp({
      styleTitle: paint.strong,
      styleCommandText: paint.accent,
      styleOptionText: paint.accent,
      subcommandTerm: (command) => command.name(),
    })
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (text, write) => write(text.replace(/^error: /, "berth: ")),
      getOutHelpWidth: () => Math.min(100, io.size()?.columns ?? 80),
      getErrHelpWidth: () => Math.min(100, io.size()?.columns ?? 80),
      getOutHasColors: () => color,
      getErrHasColors: () => color && io.errIsTty,
    });
  for (const option of Object.values(GLOBAL)) program.addOption(toOption(option).hideHelp());
  program.addHelpText("after", rootText(GLOBAL, color));
  return program;
}

function group(program: Command, parents: Map<string, Command>, name: string): Command {
  const known = parents.get(name);
  if (known) return known;
  const parent = program.command(name).helpCommand(false).summary(GROUPS[name] ?? "").description(
    GROUPS[name] ?? "",
  )
    .helpGroup(COMMANDS.find((spec) => spec.name.startsWith(name))?.group ?? "")
    .showHelpAfterError(`  → berth ${name} --help`);
  parents.set(name, parent);
  return parent;
}

function remove(program: Command, name: string): void {
  const commands = program.commands as Command[];
  commands.splice(commands.findIndex((command) => command.name() === name), 1);
}

function addArguments(command: Command, spec: AnyCommand, names: string[]): void {
  for (const [index, word] of (spec.args ?? "").split(" ").entries()) {
    if (word === "") continue;
    const argument = new Argument(word);
    if (index === 0 && spec.completes && names.length > 0) argument.choices(names);
    command.addArgument(argument);
  }
}

function toOption(spec: OptionSpec<unknown>): Option {
  const option = new Option(spec.flags, spec.help);
  if (spec.choices) option.choices(spec.choices);
  if (spec.heading) option.helpGroup(spec.heading);
  const { parse, kind } = spec;
  const convert = (text: string) => {
    if (!parse) return text;
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    throw new InvalidArgumentError(
      parsed.message[0]?.toUpperCase() + parsed.message.slice(1) + ".",
    );
  };
  if (kind === "list") {
    option.argParser((text, all: unknown[] | undefined) => [...(all ?? []), convert(text)]);
  } else if (parse) option.argParser(convert);
  return option;
}

/** The options as the command declared them, from what the framework collected. */
function read(specs: OptionSpecs, raw: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => {
      const option = new Option(spec.flags);
      const found = raw[option.attributeName()];
      if (option.negate) return [name, found === false];
      if (spec.kind === "flag") return [name, found === true];
      return [name, spec.kind === "list" ? found ?? [] : found];
    }),
  );
}

/** The flags that stood on the command line: defaults of a command must not hide those before it. */
function onLine(command: Command): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(command.opts()).filter(([name]) =>
      command.getOptionValueSource(name) !== "default"
    ),
  );
}

if (import.meta.main) {
  const io = terminal();
  // What the permission set must allow for a few commands is given up for all others.
  if (!WRITERS.has(Deno.args[0] ?? "")) await Deno.permissions.revoke({ name: "write" });
  const env = (name: string) => Deno.env.get(name) || undefined;
  Deno.exit(
    await guarded(
      io,
      () =>
        main(
          Deno.args,
          io,
          (globals) => processDeps(globals, io, env, (name) => Deno.env.get(name)),
        ),
    ),
  );
}
