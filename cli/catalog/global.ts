/**
 * Flags that every command takes.
 *
 * @module
 */
import { choice, flag, type OptionsOf, value } from "../command.ts";
import { parseDuration } from "../format/duration.ts";
import { parseTemplate } from "../format/template.ts";

export const GLOBAL = {
  output: choice("-o, --output <format>", "Print as json, yaml, or a wide table", [
    "json",
    "yaml",
    "wide",
  ]),
  format: value("--format <template>", "Print like '{{.Name}}': see docs/cli.md", parseTemplate),
  yes: flag("-y, --yes", "Do not ask before something is destroyed"),
  quiet: flag("-q, --quiet", "Print names or ids only, and no hints"),
  noColor: flag("--no-color", "Print without colours (also: NO_COLOR)"),
  timeout: value("--timeout <duration>", "How long to wait for the cluster", parseDuration),
  context: value("--context <name>", "Use this context of the contexts file"),
  server: value("--server <url>", "Talk to this server (also: BERTH_SERVER)"),
  token: value("--token <token>", "Bearer token (better: BERTH_TOKEN, or a context)"),
};
export type GlobalOptions = OptionsOf<typeof GLOBAL>;

export const PROJECT = value("--project <name>", "Project of the service");
export const NO_WAIT = flag("--no-wait", "Return at once");
