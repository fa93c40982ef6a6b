/**
 * `berth ingress …`: the proxy that passes requests from outside on to services.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { INGRESS, INGRESS_LABEL } from "../../kv/schema/ingress.ts";
import type { NodeView } from "../../kv/schema/node.ts";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode, exitOf } from "../exit.ts";
import { isNotFound, listAll, listTasksOf } from "../find.ts";
import { constraintOf } from "../format/routes.ts";
import { checkSpec } from "../spec_check.ts";
import { ingressSpec, START_CONFIG } from "../ingress_spec.ts";
import { asked, fail, failCall, hint, printList, printValue } from "../report.ts";

export interface EnableOptions {
  nodes: string[];
  image: string | undefined;
  httpPort: number | undefined;
  httpsPort: number | undefined;
  acmeEmail: string | undefined;
  acmeCa: string | undefined;
}

/** Somebody else's change in between: look again, a few times. */
const MAX_CONFLICTS = 5;
const OFF = "It is not enabled: berth ingress enable --nodes NAME|LABEL=VALUE";

export async function enable(options: EnableOptions, deps: ServerDeps): Promise<ExitCode> {
  const { acmeEmail, acmeCa } = options;
  const spec = ingressSpec({
    nodes: options.nodes.flatMap((one) => constraintOf(one) ?? []),
    image: options.image ?? "caddy:2",
    httpPort: options.httpPort ?? 80,
    httpsPort: options.httpsPort ?? 443,
    ...(acmeEmail === undefined ? {} : { acmeEmail }),
    ...(acmeCa === undefined ? {} : { acmeCa }),
  });
  const checked = checkSpec(spec);
  if (!checked.ok) return fail(deps, checked.message, "berth ingress enable --help", EXIT.usage);
  const started = await putConfig(deps);
  if (!started.ok) return failCall(deps, started.error, "cannot enable the ingress proxy");
  const put = await putService(spec, deps);
  if (!put.ok) return failCall(deps, put.error, "cannot enable the ingress proxy");
  deps.io.out(`${INGRESS.project}/${INGRESS.service}\n`);
  hint(deps, "See it come up: berth ingress status");
  return EXIT.ok;
}

async function putConfig({ client }: ServerDeps): Promise<Result<unknown>> {
  const { config: name, project } = INGRESS;
  const data = encodeBase64(new TextEncoder().encode(START_CONFIG));
  const made = await client.createConfig({ name, project, data });
  if (made.ok || exitOf(made.error) !== EXIT.conflict) return made;
  return await client.rotateConfig(name, { data }, project);
}

async function putService(
  spec: ServiceSpecInput,
  { client }: ServerDeps,
): Promise<Result<ServiceView>> {
  for (let tries = 1;; tries++) {
    const found = await client.getService(INGRESS.service, INGRESS.project);
    if (!found.ok && !isNotFound(found.error)) return found;
    const put = found.ok
      ? await client.putService(found.value.id, spec, { ifMatch: found.value.version })
      : await client.createService(spec);
    const changed = !put.ok && put.error.kind === "problem" &&
      [409, 412].includes(put.error.problem.status) &&
      found.ok === (put.error.problem.status === 412);
    if (!changed || tries >= MAX_CONFLICTS) return put;
  }
}

export async function disable(deps: ServerDeps): Promise<ExitCode> {
  const question = "Stop the ingress proxy? Until it is enabled again, routes lead nowhere.";
  if (asked(deps, question) === "no") return EXIT.ok;
  const gone = await deps.client.deleteService(INGRESS.service, INGRESS.project);
  if (!gone.ok && isNotFound(gone.error)) {
    hint(deps, OFF);
    return EXIT.ok;
  }
  if (!gone.ok) return failCall(deps, gone.error, "cannot disable the ingress proxy");
  deps.io.out(`${INGRESS.project}/${INGRESS.service}\n`);
  hint(
    deps,
    "Routes stay, and lead nowhere. The certificates that it got are in the volume " +
      `data of project ${INGRESS.project}.`,
  );
  return EXIT.ok;
}

export async function status(deps: ServerDeps): Promise<ExitCode> {
  const found = await deps.client.getService(INGRESS.service, INGRESS.project);
  if (!found.ok) {
    const off = isNotFound(found.error) ? OFF : undefined;
    return failCall(deps, found.error, "cannot read the ingress proxy", off);
  }
  const service = found.value;
  const tasks = await listTasksOf(deps.client, service);
  if (!tasks.ok) return failCall(deps, tasks.error, "cannot list the ingress proxy's tasks");
  const nodes = await listAll((query) => deps.client.listNodes(query));
  const byId = new Map((nodes.ok ? nodes.value : []).map((node) => [node.id, node]));
  const live = tasks.value.filter(({ state }) => !ENDED.includes(state));
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    await printValue(deps, { service, tasks: live }, output);
    return EXIT.ok;
  }
  const { image, labels = {} } = service.template;
  const code = await printList(deps, {
    rows: live,
    columns: [
      {
        header: "NODE",
        cell: (t) => byId.get(t.nodeId ?? "")?.name ?? t.nodeId ?? "-",
        minWidth: 6,
      },
      { header: "STATE", cell: (t) => t.state },
      { header: "TASK", cell: (t) => t.id, wide: true },
      {
        header: "MESSAGE",
        cell: (t) => deafness(byId.get(t.nodeId ?? ""), service) || (t.observed?.message ?? ""),
        minWidth: 10,
      },
    ],
    name: (t) => t.id,
    empty: "No node has it. See why: berth why " + `${INGRESS.project}/${INGRESS.service}`,
  });
  const ports = [labels[INGRESS_LABEL.httpPort], labels[INGRESS_LABEL.httpsPort]].join(" and ");
  hint(deps, `${image} on ports ${ports} of these nodes. What it serves: berth routes`);
  return code;
}

/** On which of the proxy's ports the node cannot listen, and why. */
function deafness(node: NodeView | undefined, { template }: ServiceView): string {
  const own = new Set(template.ports.map(({ published }) => published));
  return (node?.unboundPorts ?? []).filter(({ published }) => own.has(published))
    .map(({ published, reason }) => `cannot listen on ${published}: ${reason}`).join("; ");
}

const ENDED: readonly string[] = ["succeeded", "failed", "stopped", "rejected", "lost"];
