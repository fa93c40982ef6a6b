/**
 * From the flags of a Compose command to the project and the specs that it wants.
 *
 * @module
 */
import { withSteps } from "../../compose/expand.ts";
import {
  loadModel,
  type LoadOptions,
  STDIN,
  type Surroundings,
  type Unset,
  unsetAt,
} from "../../compose/load.ts";
import { specOf } from "../../compose/map/service.ts";
import { valueSources } from "../../compose/map/files.ts";
import { type Build, buildsOf } from "../../compose/map/build.ts";
import { readValues, type Value } from "../../compose/upload.ts";
import { type Project, resolve } from "../../compose/resolve.ts";
import { ComposeError } from "../../compose/tree.ts";
import type { ServiceSpec } from "../../../kv/schema/service.ts";
import type { Deps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { style } from "../../format/style.ts";
import { fail } from "../../report.ts";
import { readInput } from "../../spec_file.ts";

export interface ProjectFlags {
  file: string[];
  project: string | undefined;
  projectDirectory: string | undefined;
  envFile: string[];
  profile: string[];
}

export type Read =
  | { ok: true; project: Project; specs: ServiceSpec[]; values: Value[]; builds: Build[] }
  | { ok: false; code: ExitCode; missing: boolean };

/**
 * Reads and maps the files; what is wrong with them was printed. `withValues`: also the values of secrets
 * and configs, which only `up` has any use for.
 */
export async function readProject(
  flags: ProjectFlags,
  services: readonly string[],
  deps: Deps,
  { quietIfMissing = false, withValues = false } = {},
): Promise<Read> {
  const options: LoadOptions = {
    files: flags.file,
    project: flags.project,
    projectDir: flags.projectDirectory,
    envFiles: flags.envFile,
    profiles: flags.profile,
  };
  const around = surroundingsOf(deps);
  const unset: Unset[] = [];
  try {
    const model = await loadModel(options, around, unset);
    const project = withSteps(await resolve(model, { services }, around));
    const specs = [...project.services.values()].map((service) => specOf(project, service));
    const env = model.lookup;
    const sources = withValues ? valueSources(project) : [];
    const values = await readValues(sources, { readFile: deps.readFile, env });
    return { ok: true, project, specs, values, builds: buildsOf(project, env) };
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error;
    const missing = error.at === undefined && /^there is no compose.yaml/.test(error.message);
    if (!(missing && quietIfMissing)) {
      const next = [unsetAt(error.at, unset), error.next, "nothing was changed"];
      fail(deps, error.message, next.join("\n"), EXIT.usage);
    }
    return { ok: false, code: EXIT.usage, missing };
  }
}

/** Every file is read once: standard input cannot be read again, and others may change meanwhile. */
function surroundingsOf({ here, io, readTextFile }: Deps): Surroundings {
  const texts = new Map<string, Promise<string>>();
  return {
    cwd: here.cwd(),
    home: here.env("HOME"),
    env: (name) => here.env(name),
    exists: (path) => here.exists(path),
    read(path) {
      const known = texts.get(path);
      if (known) return known;
      const text = path === STDIN ? readInput(io.input()) : readTextFile(path);
      texts.set(path, text);
      return text;
    },
  };
}

/** Says what the user should know; scripts that want names only are spared. */
export function warn(deps: Deps, lines: readonly string[]): void {
  const paint = style(deps.view.color && deps.io.errIsTty);
  if (deps.view.quiet) return;
  for (const line of lines) deps.io.err(`${paint.busy("note:")} ${line}\n`);
}
