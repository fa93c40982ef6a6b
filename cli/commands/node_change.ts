/**
 * `berth node cordon`, `activate`, `drain`, `label`, `rm` and `restart`.
 *
 * @module
 */
import type { Client, Result } from "../../api/client.ts";
import type { NodeSpec, NodeView } from "../../kv/schema/node.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import type { TaintChange } from "../format/rules.ts";
import { startProgress } from "../progress.ts";
import { asked, fail, failCall } from "../report.ts";
import { waitUntil } from "../wait.ts";
import { drainText } from "./nodes.ts";

/** A label to set, or to take away. */
export type LabelChange = { key: string; value?: string };

const DRAIN_TIMEOUT_MS = 3600_000;
/** Somebody else's change in between is looked at again, a few times. */
const MAX_CONFLICTS = 5;

export function cordon(refs: string[], deps: ServerDeps): Promise<ExitCode> {
  return each(refs, (ref) =>
    change(ref, deps, "cordon", ({ drain: _, ...spec }) => ({
      ...spec,
      availability: "cordon",
    })));
}

export function activate(refs: string[], deps: ServerDeps): Promise<ExitCode> {
  return each(refs, (ref) =>
    change(ref, deps, "activate", ({ drain: _, ...spec }) => ({
      ...spec,
      availability: "active",
    })));
}

export function drain(
  options: { deadlineMs: number | undefined; noWait: boolean },
  refs: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const { deadlineMs } = options;
  return each(refs, async (ref) => {
    const put = await putSpec(deps.client, ref, ({ drain: before, ...spec }) => {
      const how = deadlineMs === undefined ? before : { deadlineMs };
      return { ...spec, availability: "drain", ...(how ? { drain: how } : {}) };
    });
    if (!put.ok) return failCall(deps, put.error, `cannot drain ${ref}`);
    const { name, tasks: total } = put.value;
    if (!options.noWait) {
      const progress = startProgress(deps, `draining ${name}`);
      const waited = await waitUntil(
        () => deps.client.getNode(put.value.id),
        (node) => {
          const left = drainText(node.drain, deps.clock.wallMs());
          const moved = `${Math.max(0, total - node.tasks)} of ${total} tasks moved`;
          progress.update(`draining ${name}: ${moved}${left ? `; ${left}` : ""}`);
          return node.tasks === 0 || node.spec.availability !== "drain" || undefined;
        },
        { clock: deps.clock, timeoutMs: deps.timeoutMs ?? DRAIN_TIMEOUT_MS },
      );
      progress.stop();
      if (waited.kind === "error") return failCall(deps, waited.error, `draining ${name}`);
      if (waited.kind !== "done") {
        return fail(
          deps,
          `draining ${name} takes longer than it was given; it goes on by itself`,
          `look at it: berth node inspect ${name}\ngive the services less say: berth node drain ` +
            `--deadline 1m ${name}`,
          EXIT.timeout,
        );
      }
    }
    deps.io.out(name + "\n");
    return EXIT.ok;
  });
}

export function label(ref: string, changes: LabelChange[], deps: ServerDeps): Promise<ExitCode> {
  return change(ref, deps, "label", (spec) => {
    const labels = { ...spec.labels };
    for (const { key, value } of changes) {
      if (value === undefined) delete labels[key];
      else labels[key] = value;
    }
    return { ...spec, labels };
  });
}

/** A taint takes the place of the one with its key and effect. */
export function taint(ref: string, changes: TaintChange[], deps: ServerDeps): Promise<ExitCode> {
  return change(ref, deps, "taint", (spec) => {
    let taints = spec.taints;
    for (const wanted of changes) {
      if ("key" in wanted) {
        taints = taints.filter(({ key }) => key !== wanted.key);
      } else {
        const { key, effect } = wanted.taint;
        const others = taints.filter((one) => one.key !== key || one.effect !== effect);
        taints = [...others, wanted.taint];
      }
    }
    return { ...spec, taints };
  });
}

export function movePool(refs: string[], pool: string, deps: ServerDeps): Promise<ExitCode> {
  return each(refs, (ref) => change(ref, deps, "move", (spec) => ({ ...spec, pool })));
}

export function removeNodes(
  options: { force: boolean },
  refs: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  return each(refs, async (ref) => {
    const node = await deps.client.getNode(ref);
    if (!node.ok) return failCall(deps, node.error, `cannot remove node ${ref}`);
    const question = `Remove node ${node.value.name}? Its agent has to join anew to come back.`;
    if (!options.force && asked(deps, question) === "no") return EXIT.ok;
    // By its id: a request that comes late does not remove a node that joined under the name meanwhile.
    const { id } = node.value;
    const gone = await deps.client.deleteNode(id, options.force ? { force: true } : {});
    if (!gone.ok) return failCall(deps, gone.error, `cannot remove node ${ref}`);
    deps.io.out(ref + "\n");
    return EXIT.ok;
  });
}

export function restart(refs: string[], deps: ServerDeps): Promise<ExitCode> {
  return each(refs, async (ref) => {
    const asked = await deps.client.restartNode(ref);
    if (!asked.ok) return failCall(deps, asked.error, `cannot restart the agent of ${ref}`);
    deps.io.out(ref + "\n");
    return EXIT.ok;
  });
}

async function change(
  ref: string,
  deps: ServerDeps,
  what: string,
  edit: (spec: NodeSpec) => NodeSpec,
): Promise<ExitCode> {
  const put = await putSpec(deps.client, ref, edit);
  if (!put.ok) return failCall(deps, put.error, `cannot ${what} ${ref}`);
  deps.io.out(put.value.name + "\n");
  return EXIT.ok;
}

/** Changes the spec that is there, whoever else changes it meanwhile. */
async function putSpec(
  client: Client,
  ref: string,
  edit: (spec: NodeSpec) => NodeSpec,
): Promise<Result<NodeView>> {
  let last: Result<NodeView> = await client.getNode(ref);
  for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
    if (!last.ok) return last;
    const { id, spec, version } = last.value;
    const put = await client.putNodeSpec(id, edit(spec), { ifMatch: version });
    if (put.ok || put.error.kind !== "problem" || put.error.problem.status !== 412) return put;
    last = await client.getNode(id);
  }
  return last;
}

/** Handles every reference, and returns the first failure. */
async function each(refs: string[], one: (ref: string) => Promise<ExitCode>): Promise<ExitCode> {
  let worst: ExitCode = EXIT.ok;
  for (const ref of refs) {
    const code = await one(ref);
    if (worst === EXIT.ok) worst = code;
  }
  return worst;
}
