/**
 * `berth apply`: creates the services of a file, or changes those that differ.
 *
 * @module
 */
import type { CallError, Result } from "../../api/client.ts";
import type { ServiceSpec, ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode, exitOf } from "../exit.ts";
import { isNotFound } from "../find.ts";
import { qualified } from "../format/state.ts";
import { style } from "../format/style.ts";
import { fail, failCall, hint, naming, printList } from "../report.ts";
import { readSpecs } from "../spec_file.ts";

export interface Applied {
  service: string;
  result: "created" | "changed" | "unchanged";
  revision: number;
}

/** Between reading a service and replacing it somebody else may have changed it. */
const MAX_CONFLICTS = 5;

export async function apply(path: string, deps: ServerDeps): Promise<ExitCode> {
  const read = await readSpecs(path, deps);
  if (!read.ok) return fail(deps, read.message, "nothing was changed", EXIT.usage);
  const applied: Applied[] = [];
  let failure: { name: string; error: CallError } | undefined;
  for (const spec of read.specs) {
    const name = qualified(spec.project, spec.name);
    const done = await applyOne(spec, deps);
    if (!done.ok) {
      failure = { name, error: naming(done.error, (field) => read.placed(spec, field)) };
      break;
    }
    applied.push({ service: name, ...done.value });
  }
  if (applied.length > 0 || !failure) {
    const paint = style(deps.view.color);
    await printList(deps, {
      rows: applied,
      columns: [
        { header: "SERVICE", cell: (one) => one.service, minWidth: 8 },
        {
          header: "RESULT",
          cell: (one) => one.result,
          paint: (one) => one.result === "unchanged" ? paint.dim : paint.good,
        },
        { header: "REVISION", cell: (one) => String(one.revision) },
      ],
      name: (one) => one.service,
      empty: "Nothing to apply.",
    });
  }
  if (failure) {
    const left = read.specs.length - applied.length - 1;
    const rest = left > 0 ? `; ${left} after it ${left === 1 ? "was" : "were"} not tried` : "";
    return failCall(deps, failure.error, `cannot apply ${failure.name}${rest}`);
  }
  hint(deps, "See it come about: berth ps");
  return EXIT.ok;
}

/** Creates or replaces one service; what is already as it should be is left alone. */
async function applyOne(
  spec: ServiceSpec,
  { client, random }: ServerDeps,
): Promise<Result<Omit<Applied, "service">>> {
  const once = Math.floor(random() * 2 ** 48).toString(36);
  let last: Result<ServiceView> | undefined;
  for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
    const known = await client.getService(spec.name, spec.project);
    if (!known.ok && !isNotFound(known.error)) return known;
    const idempotencyKey = `apply-${spec.name}-${once}-${tries}`;
    last = known.ok
      ? await client.putService(known.value.id, spec, { ifMatch: known.value.version })
      : await client.createService(spec, { idempotencyKey });
    if (last.ok) {
      const { revision, version } = last.value;
      const same = known.ok && known.value.version === version;
      const result = !known.ok ? "created" : same ? "unchanged" : "changed";
      return { ok: true, value: { result, revision } };
    }
    const { error } = last;
    const raced = error.kind === "problem" && (error.problem.status === 412 || !known.ok);
    if (!raced || exitOf(error) !== EXIT.conflict) return last;
  }
  return last?.ok === false
    ? last
    : { ok: false, error: { kind: "protocol", message: "it kept changing meanwhile" } };
}
