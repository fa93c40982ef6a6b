/**
 * The parts of help pages that no framework writes. Pure.
 *
 * @module
 */
import type { AnyCommand, OptionSpecs } from "../command.ts";
import { EXIT_HELP } from "../exit.ts";
import { style } from "./style.ts";

/** Examples of one command, what each does on the line above it. */
export function examplesText(command: AnyCommand, color: boolean): string {
  const paint = style(color);
  const lines = command.examples.map(([line, what]) => `  ${paint.dim(`# ${what}`)}\n  ${line}`);
  return `\n${paint.strong("Examples:")}\n${lines.join("\n")}\n\n${
    paint.dim("Flags of every command (-o, --quiet, --timeout, --context …): berth --help")
  }`;
}

/** What follows the list of commands in `berth --help`. */
export function rootText(flags: OptionSpecs, color: boolean): string {
  const paint = style(color);
  const every = Object.values(flags)
    .map((option) => `  ${paint.accent(option.flags.padEnd(22))} ${option.help}`).join("\n");
  const codes = EXIT_HELP.map(([code, what]) => `  ${code.padEnd(4)} ${what}`).join("\n");
  return `
${paint.strong("Examples:")}
  berth run -d --name web -p 8080:80 nginx
  berth ps
  berth logs -f web
  berth exec -it web sh

${paint.strong("Flags of every command:")}
${every}

${paint.strong("Exit codes:")}
${codes}

${paint.strong("Server and token:")} flags, else BERTH_SERVER, BERTH_TOKEN and BERTH_CONTEXT,
else the contexts file ($XDG_CONFIG_HOME/berth/contexts.json).`;
}
