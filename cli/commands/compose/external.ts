/**
 * Looking for what is external before anything is changed.
 *
 * @module
 */
import type { Result } from "../../../api/client.ts";
import {
  EXTERNAL_SECTIONS,
  type ExternalSection,
  externalsOf,
} from "../../compose/map/external.ts";
import type { Project } from "../../compose/resolve.ts";
import { placeText } from "../../compose/tree.ts";
import type { ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { listAll } from "../../find.ts";
import { fail, failCall } from "../../report.ts";

const NEXT: Record<ExternalSection, string> = {
  volumes: "correct its name, or take external out: then up makes it",
  secrets: "make it first: berth secret create",
  configs: "make it first: berth config create",
};

/** Undefined when all of it is there; else the exit code, and what is missing was said. */
export async function missingExternal(
  project: Project,
  deps: ServerDeps,
): Promise<ExitCode | undefined> {
  const { client } = deps;
  const lists: Record<ExternalSection, () => Promise<Result<{ name: string }[]>>> = {
    volumes: () => listAll((query) => client.listVolumes({ ...query, project: project.name })),
    secrets: () => listAll((query) => client.listSecrets({ ...query, project: project.name })),
    configs: () => listAll((query) => client.listConfigs({ ...query, project: project.name })),
  };
  const all = externalsOf(project);
  for (const section of EXTERNAL_SECTIONS) {
    const wanted = all.filter((one) => one.section === section);
    if (wanted.length === 0) continue;
    const listed = await lists[section]();
    if (!listed.ok) return failCall(deps, listed.error, `cannot look at project ${project.name}`);
    const known = new Set(listed.value.map(({ name }) => name));
    const missing = wanted.find(({ name }) => !known.has(name));
    if (!missing) continue;
    const what = `${section}.${missing.key} is external, and project ${project.name} has no ` +
      `${section.slice(0, -1)} ${missing.name}`;
    const next = `${NEXT[section]}\nnothing was changed`;
    return fail(deps, `${placeText(missing.at)}: ${what}`, next, EXIT.notFound);
  }
  return undefined;
}
