/**
 * How `berth up` ends: what was done with each service, and what to do next.
 *
 * @module
 */
import type { Outcome } from "../../compose/apply.ts";
import type { Change } from "../../compose/changes.ts";
import { originOf } from "../../compose/map/origin.ts";
import type { ComposeService, Project } from "../../compose/resolve.ts";
import { placeText } from "../../compose/tree.ts";
import type { ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode, exitOf } from "../../exit.ts";
import { fail, failCall, hint, naming } from "../../report.ts";
import type { Held } from "./locked.ts";
import { printOutcomes, type Row } from "./print.ts";
import { warn } from "./project.ts";

export interface Ending {
  project: Project;
  outcomes: Map<string, Outcome>;
  changes: readonly Change[];
  deps: ServerDeps;
  flags: { removeOrphans: boolean };
}

export async function finish(ending: Ending, code: ExitCode): Promise<ExitCode> {
  const { deps, outcomes, changes, flags, project } = ending;
  await printOutcomes(deps, rowsOf(outcomes, project));
  const orphans = changes.filter(({ kind }) => kind === "orphan").map(({ name }) => name);
  if (orphans.length > 0 && !flags.removeOrphans) {
    warn(deps, [`in no file any more: ${orphans.join(", ")}; --remove-orphans removes them`]);
  }
  hint(deps, `See it run: berth ps --project ${project.name}`);
  return code;
}

export async function failed(ending: Ending): Promise<ExitCode> {
  const { deps, outcomes, project } = ending;
  await printOutcomes(deps, rowsOf(outcomes, project));
  const services = new Map([...project.services.values()].map((one) => [one.berthName, one]));
  for (const [name, outcome] of outcomes) {
    if (outcome.kind === "failed") {
      const error = naming(outcome.error, (field) => placed(field, services.get(name)));
      failCall(deps, error, `cannot apply ${name}`);
    }
  }
  const first = [...outcomes.values()].find(({ kind }) => kind === "failed");
  if (first?.kind === "failed") return exitOf(first.error);
  const skipped = [...outcomes].find(([, { kind }]) => kind === "skipped");
  const why = skipped?.[1].kind === "skipped" ? skipped[1].why : "";
  return fail(
    deps,
    `${skipped?.[0]} was not applied: ${why}`,
    `look at what it waits for: berth ps -a --project ${project.name}\nthen: berth up`,
    /not .* yet$/.test(why) ? EXIT.timeout : EXIT.failed,
  );
}

export async function interrupted(ending: Ending, held: Held): Promise<ExitCode> {
  const { deps, outcomes, project } = ending;
  await printOutcomes(deps, rowsOf(outcomes, project));
  return fail(
    deps,
    held.lost
      ? `the lock of project ${project.name} was taken over: nothing more was changed`
      : "interrupted: what was applied stays, and goes on in the cluster; the rest was not tried",
    "carry on with: berth up\nor take it all down: berth down",
    held.lost ? EXIT.conflict : EXIT.interrupted,
  );
}

/** A field of the spec as the files have it, with its place before it. */
function placed(field: string, service: ComposeService | undefined): string {
  if (!service) return field;
  const { at, key } = originOf(service, field.split("."));
  return `${placeText(at)}: ${key}`;
}

function rowsOf(outcomes: ReadonlyMap<string, Outcome>, project: Project): Row[] {
  return [...outcomes].map(([name, outcome]) => ({
    service: name,
    project: project.name,
    result: outcome.kind,
    revision: "view" in outcome ? outcome.view.revision : 0,
  }));
}
