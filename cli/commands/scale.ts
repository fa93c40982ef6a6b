/**
 * `berth scale`: how many replicas services have.
 *
 * @module
 */
import type { Client, Result } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { refOf } from "../find.ts";
import { qualified } from "../format/state.ts";
import { fail, failCall } from "../report.ts";
import { each, type LifecycleOptions, settle, specOf } from "./lifecycle.ts";

/** Somebody else's change in between is no conflict with a number: look again, a few times. */
const MAX_CONFLICTS = 5;
const TARGET = /^([^=]+)=(\d{1,6})$/;

export async function scale(
  options: LifecycleOptions,
  targets: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const bad = targets.find((target) => !TARGET.test(target));
  if (bad !== undefined) {
    return fail(
      deps,
      `"${bad}" does not say which service and how many`,
      "write SERVICE=N: berth scale web=3",
      EXIT.usage,
    );
  }
  return await each(targets, async (target) => {
    const [, ref = "", count] = TARGET.exec(target) ?? [];
    const scaled = await setReplicas(deps.client, refOf(ref, options.project), Number(count));
    if (!scaled.ok) return failCall(deps, scaled.error, `cannot scale ${ref}`);
    const { value: service } = scaled;
    if (service.mode.type !== "replicated") {
      return fail(
        deps,
        `${qualified(service.project, service.name)} is a ${service.mode.type} service: ` +
          "only replicated ones have a number of replicas",
        NEXT[service.mode.type],
        EXIT.conflict,
      );
    }
    return await settle(deps, options, service, {
      doing: "scaling",
      done: (s) => s.phase === "running" || s.stopped || s.deleting,
    });
  });
}

const NEXT = {
  global: "it has one task on each node that fits: see berth nodes",
  job: "its completions are part of its spec; one more run: berth job run NAME",
  cron: "its schedule says when it runs; one more run: berth job run NAME",
};

/** A service of another mode is answered as it is. */
async function setReplicas(
  client: Client,
  ref: { name: string; project?: string },
  replicas: number,
): Promise<Result<ServiceView>> {
  let last: Result<ServiceView> = await client.getService(ref.name, ref.project);
  for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
    if (!last.ok || last.value.mode.type !== "replicated") return last;
    const service = last.value;
    const mode = { type: "replicated", replicas } as const;
    const put = await client.putService(service.id, { ...specOf(service), mode }, {
      ifMatch: service.version,
    });
    if (put.ok || put.error.kind !== "problem" || put.error.problem.status !== 412) return put;
    last = await client.getService(service.id, service.project);
  }
  return last;
}
