/**
 * `berth convert`: a `docker run` line to a Compose file, and a Compose file to such lines.
 *
 * @module
 */
import { composeOf } from "../../compose/convert/from_run.ts";
import { networkOf, quoted, runLine } from "../../compose/convert/to_run.ts";
import type { Deps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { fail, printValue } from "../../report.ts";
import { type ProjectFlags, readProject, warn } from "./project.ts";

export async function convert(
  flags: ProjectFlags,
  words: string[],
  deps: Deps,
): Promise<ExitCode> {
  if (words.length > 0) {
    const made = composeOf(words);
    if (!made.ok) return fail(deps, made.message, "berth convert --help", EXIT.usage);
    await printValue(deps, made.value, deps.view.output === "json" ? "json" : "yaml");
    return EXIT.ok;
  }
  const read = await readProject(flags, [], deps);
  if (!read.ok) return read.code;
  const { project } = read;
  const network = networkOf(project);
  if (network !== undefined) deps.io.out(`docker network create ${network}\n`);
  for (const name of project.waves.flat()) {
    const service = project.services.get(name);
    if (!service) continue;
    const { words: line, left } = runLine(project, service);
    if (left.length > 0) warn(deps, [`${name}: docker run has no flag for ${left.join(", ")}`]);
    deps.io.out(`${line.map(quoted).join(" ")}\n`);
  }
  return EXIT.ok;
}
