/**
 * `berth update`: changes a service, and follows the rollout.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { refOf } from "../find.ts";
import { qualified } from "../format/state.ts";
import { fail, failCall, naming } from "../report.ts";
import { flagOfField } from "../spec_check.ts";
import { changedSpec, type ChangeFlags } from "../update_spec.ts";
import { specOf } from "./lifecycle.ts";
import { watchRollout } from "./rollout.ts";

export interface UpdateOptions extends ChangeFlags {
  project: string | undefined;
  noWait: boolean;
  /** Look up anew what the image's tag stands for. */
  pull: boolean;
}

/** Somebody else's change in between: look again, a few times. */
const MAX_CONFLICTS = 5;

export async function update(
  options: UpdateOptions,
  ref: string,
  command: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  const found = await deps.client.getService(name, project);
  if (!found.ok) return failCall(deps, found.error, `cannot update ${ref}`);
  const changed = await change(found.value, options, command, deps);
  if ("usage" in changed) return fail(deps, changed.usage, "berth update --help", EXIT.usage);
  if (!changed.ok) {
    return failCall(deps, naming(changed.error, flagOfField), `cannot update ${ref}`);
  }
  const service = changed.value;
  const rolls = service.rollout !== undefined && service.revision !== found.value.revision;
  if (rolls && !options.noWait) return await watchRollout(service, deps);
  deps.io.out(qualified(service.project, service.name) + "\n");
  return EXIT.ok;
}

async function change(
  found: ServiceView,
  options: UpdateOptions,
  command: string[],
  { client }: ServerDeps,
): Promise<Result<ServiceView> | { usage: string }> {
  let service = found;
  for (let tries = 1;; tries++) {
    const spec = changedSpec(specOf(service), options, command);
    if (!spec.ok) return { usage: spec.message };
    const { pull } = options;
    const put = await client.putService(service.id, spec.value, {
      ifMatch: service.version,
      pull,
    });
    const stale = !put.ok && put.error.kind === "problem" && put.error.problem.status === 412;
    if (!stale || tries >= MAX_CONFLICTS) return put;
    const again = await client.getService(service.id, service.project);
    if (!again.ok) return again;
    service = again.value;
  }
}
