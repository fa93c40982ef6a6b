/**
 * `berth stop`, `berth start` and `berth rm`.
 *
 * @module
 */
import type { Client, Result } from "../../api/client.ts";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { isNotFound, refOf } from "../find.ts";
import { counted } from "../format/quantity.ts";
import { qualified } from "../format/state.ts";
import { asked, fail, failCall } from "../report.ts";
import { startProgress } from "../progress.ts";
import { type Waited, waitUntil } from "../wait.ts";

export interface LifecycleOptions {
  project: string | undefined;
  noWait: boolean;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Somebody else's change in between is no conflict with "stop": look again, a few times. */
const MAX_CONFLICTS = 5;

export function stop(options: LifecycleOptions, refs: string[], deps: ServerDeps) {
  return each(refs, async (ref) => {
    const changed = await setStopped(deps.client, ref, options.project, true);
    if (!changed.ok) return failCall(deps, changed.error, `cannot stop ${ref}`);
    return await settle(deps, options, changed.value, {
      doing: "stopping",
      done: (s) => s.phase === "stopped" || ended(s),
    });
  });
}

export function start(options: LifecycleOptions, refs: string[], deps: ServerDeps) {
  return each(refs, async (ref) => {
    const changed = await setStopped(deps.client, ref, options.project, false);
    if (!changed.ok) return failCall(deps, changed.error, `cannot start ${ref}`);
    return await settle(deps, options, changed.value, {
      doing: "starting",
      done: (s) => s.phase === "running" || ended(s),
    });
  });
}

export function remove(
  options: LifecycleOptions & { force: boolean },
  refs: string[],
  deps: ServerDeps,
) {
  return each(refs, async (ref) => {
    const { name: given, project } = refOf(ref, options.project);
    const found = await deps.client.getService(given, project);
    if (!found.ok) return failCall(deps, found.error, `cannot remove ${ref}`);
    const service = found.value;
    const name = qualified(service.project, service.name);
    if (!options.force && !mayRemove(service, name, deps)) {
      return fail(
        deps,
        `${name} is running ${counted(service.counts.running + service.counts.pending, "task")}`,
        `stop it first: berth stop ${name}\nor remove it as it is: berth rm -f ${name}`,
        EXIT.conflict,
      );
    }
    const gone = await deps.client.deleteService(service.id, service.project);
    if (!gone.ok && !isNotFound(gone.error)) {
      return failCall(deps, gone.error, `cannot remove ${name}`);
    }
    return await waitGone(deps, options, service, name);
  });
}

/** Changes `stopped` and nothing else of the service's spec. */
export async function setStopped(
  client: Client,
  ref: string,
  givenProject: string | undefined,
  stopped: boolean,
): Promise<Result<ServiceView>> {
  const { name, project } = refOf(ref, givenProject);
  let last: Result<ServiceView> = await client.getService(name, project);
  for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
    if (!last.ok || last.value.stopped === stopped) return last;
    const service = last.value;
    const put = await client.putService(service.id, { ...specOf(service), stopped }, {
      ifMatch: service.version,
    });
    if (put.ok || put.error.kind !== "problem" || put.error.problem.status !== 412) return put;
    last = await client.getService(service.id, service.project);
  }
  return last;
}

/** The spec in a service's view. */
export function specOf(service: ServiceView): ServiceSpecInput {
  const { id: _i, revision: _r, createdAt: _c, updatedAt: _u, deleting: _d, ...rest } = service;
  const { ingressPorts: _g, certificates: _k, version: _v, counts: _n, ...more } = rest;
  const { phase: _p, rollout: _o, resolved: _s, imagePin: _m, ...spec } = more;
  return spec;
}

function ended(service: ServiceView): boolean {
  return service.phase === "finished" || service.phase === "failed";
}

function mayRemove(service: ServiceView, name: string, deps: ServerDeps): boolean {
  const busy = service.counts.running + service.counts.pending;
  if (busy === 0 || service.deleting) return true;
  return asked(deps, `${name} is running ${counted(busy, "task")}. Stop and remove it?`) === "yes";
}

export async function settle(
  deps: ServerDeps,
  options: LifecycleOptions,
  service: ServiceView,
  goal: { doing: string; done: (service: ServiceView) => boolean },
): Promise<ExitCode> {
  const name = qualified(service.project, service.name);
  if (!options.noWait) {
    const progress = startProgress(deps, `${goal.doing} ${name}`);
    const waited = await waitUntil(
      () => deps.client.getService(service.id, service.project),
      (s) => {
        progress.update(`${goal.doing} ${name}: ${s.counts.running} running`);
        return goal.done(s) || undefined;
      },
      { clock: deps.clock, timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS },
    );
    progress.stop();
    if (waited.kind !== "done") return notSettled(deps, waited, goal.doing, name);
  }
  deps.io.out(name + "\n");
  return EXIT.ok;
}

async function waitGone(
  deps: ServerDeps,
  options: LifecycleOptions,
  service: ServiceView,
  name: string,
): Promise<ExitCode> {
  if (!options.noWait) {
    const progress = startProgress(deps, `removing ${name}`);
    const waited = await waitUntil(
      async () => {
        const answer = await deps.client.getService(service.id, service.project);
        if (answer.ok) return { ok: true as const, value: false };
        return isNotFound(answer.error) ? { ok: true as const, value: true } : answer;
      },
      (gone) => gone || undefined,
      { clock: deps.clock, timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS },
    );
    progress.stop();
    if (waited.kind !== "done") return notSettled(deps, waited, "removing", name);
  }
  deps.io.out(name + "\n");
  return EXIT.ok;
}

function notSettled(
  deps: ServerDeps,
  waited: Exclude<Waited<true>, { kind: "done" }>,
  doing: string,
  name: string,
): ExitCode {
  if (waited.kind === "error") return failCall(deps, waited.error, `${doing} ${name}`);
  return fail(
    deps,
    `${doing} ${name} takes longer than it was given; it goes on by itself`,
    `follow it: berth ps -a ${name}\nwait for longer: --timeout 5m`,
    EXIT.timeout,
  );
}

/** Handles every reference, and returns the first failure. */
export async function each(
  refs: string[],
  one: (ref: string) => Promise<ExitCode>,
): Promise<ExitCode> {
  let worst: ExitCode = EXIT.ok;
  for (const ref of refs) {
    const code = await one(ref);
    if (worst === EXIT.ok) worst = code;
  }
  return worst;
}
