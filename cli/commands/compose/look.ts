/**
 * `berth diff` and `berth config`: looking, without changing anything.
 *
 * @module
 */
import { changesOf } from "../../compose/changes.ts";
import { editorSchema } from "../../compose/map/extension.ts";
import { imageOf } from "../../compose/map/service.ts";
import { notesOf } from "../../compose/uses.ts";
import type { Project } from "../../compose/resolve.ts";
import { SECTIONS } from "../../compose/files.ts";
import { withoutVariables } from "../../compose/interpolate.ts";
import { get, toPlain } from "../../compose/tree.ts";
import type { Deps, ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { listAll } from "../../find.ts";
import { failCall, printValue } from "../../report.ts";
import { printChanges } from "./print.ts";
import { type ProjectFlags, readProject, warn } from "./project.ts";

/** Exit code 1 when `up` would change something, as diff(1) has it. */
export async function diff(
  flags: ProjectFlags,
  names: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const read = await readProject(flags, names, deps);
  if (!read.ok) return read.code;
  const { project, specs } = read;
  const listed = await listAll((query) =>
    deps.client.listServices({ ...query, project: project.name })
  );
  if (!listed.ok) return failCall(deps, listed.error, `cannot look at project ${project.name}`);
  const changes = changesOf(specs, listed.value, project.resting)
    .filter(({ kind }) => names.length === 0 || kind !== "orphan");
  const different = changes.filter(({ kind }) => kind !== "unchanged");
  if (different.length === 0) {
    if (!deps.view.quiet) deps.io.err("Nothing differs.\n");
    return EXIT.ok;
  }
  await printChanges(deps, different);
  return EXIT.failed;
}

export interface ConfigFlags extends ProjectFlags {
  services: boolean;
  images: boolean;
  schema: boolean;
}

/** The files as they are understood. */
export async function config(
  flags: ConfigFlags,
  names: string[],
  deps: Deps,
): Promise<ExitCode> {
  if (flags.schema) {
    await printValue(deps, editorSchema(), "json");
    return EXIT.ok;
  }
  const read = await readProject(flags, names, deps);
  if (!read.ok) return read.code;
  const { project } = read;
  warn(deps, [...project.warnings, ...notesOf(project)]);
  if (deps.view.quiet) return EXIT.ok;
  const services = [...project.services.values()];
  if (flags.services) { for (const { name } of services) deps.io.out(`${name}\n`); }
  if (flags.images) { for (const one of services) deps.io.out(`${imageOf(project, one)}\n`); }
  if (flags.services || flags.images) return EXIT.ok;
  const whole = withoutVariables(resolved(project));
  await printValue(deps, whole, deps.view.output === "json" ? "json" : "yaml");
  return EXIT.ok;
}

function resolved(project: Project): Record<string, unknown> {
  const whole: Record<string, unknown> = { name: project.name };
  for (const section of SECTIONS) {
    if (section === "services") {
      whole.services = Object.fromEntries(
        [...project.services.values()].map(({ name, tree }) => [name, toPlain(tree)]),
      );
      continue;
    }
    const found = get(project.tree, section);
    if (found) whole[section] = toPlain(found);
  }
  return whole;
}
