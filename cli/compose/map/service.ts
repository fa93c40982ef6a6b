/**
 * From a service of a Compose project to the spec of a service in the cluster. Pure.
 *
 * @module
 */
import type { RouteInput } from "../../../kv/schema/route.ts";
import { ServiceSpec, type ServiceSpecInput } from "../../../kv/schema/service.ts";
import { messageOf, unreadField } from "../../spec_file.ts";
import type { ComposeService, Project } from "../resolve.ts";
import { ComposeError, get, itemsOf, type Place, toPlain, type Tree } from "../tree.ts";
import { containerOf } from "./container.ts";
import { placementOf, resourcesOf, rollbackOf, updateOf } from "./deploy.ts";
import { XBerth, type XBerthInput } from "./extension.ts";
import { healthOf } from "./health.ts";
import { runningOf } from "./mode.ts";
import { originOf } from "./origin.ts";
import { portsOf } from "./ports.ts";
import { aliasesOf } from "./names.ts";
import { filesOf, sealedName } from "./files.ts";
import { mountsOf } from "./mounts.ts";
import { durationAt, flagAt, pairsAt, present, textAt, textsAt } from "./read.ts";

/** On services that `up` made: what the file calls them. */
export const COMPOSE_LABEL = "berth.compose";
/** On the tasks of services whose image `up` built: the id of that image. */
export const BUILD_LABEL = "berth.build";

/** Throws a {@link ComposeError} that names the key when a value is not what the cluster takes. */
export function specOf(project: Project, service: ComposeService): ServiceSpec {
  const input = withExtension(inputOf(project, service), project, service);
  const parsed = ServiceSpec.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const { at, key } = originOf(service, issue?.path ?? []);
  throw new ComposeError(`${key}: ${messageOf(issue)}`, at);
}

function inputOf(project: Project, service: ComposeService): ServiceSpecInput {
  const { tree, name, berthName } = service;
  const aliases = aliasesOf(project, service);
  const container = containerOf(tree);
  const health = healthOf(tree);
  const { mode, restart } = runningOf(tree, { awaited: isAwaited(project, name) });
  return {
    name: berthName,
    project: project.name,
    ...(aliases ? { aliases } : {}),
    labels: { ...pairsAt(tree, "deploy", "labels"), [COMPOSE_LABEL]: name },
    mode,
    template: {
      image: imageOf(project, service),
      pullPolicy: pullPolicyOf(tree),
      env: pairsAt(tree, "environment") ?? {},
      labels: pairsAt(tree, "labels") ?? {},
      tty: flagAt(tree, "tty") ?? false,
      init: flagAt(tree, "init") ?? false,
      ports: portsOf(tree),
      ...filesOf(project, tree),
      mounts: mountsOf(project, tree),
      ...resourcesOf(tree),
      restart,
      placement: placementOf(tree),
      ...present({
        entrypoint: textsAt(tree, "entrypoint"),
        command: textsAt(tree, "command"),
        workingDir: textAt(tree, "working_dir"),
        user: textAt(tree, "user"),
        stopGraceMs: durationAt(tree, "stop_grace_period"),
        stopSignal: textAt(tree, "stop_signal"),
        health,
        container,
      }),
    },
    update: updateOf(tree),
    rollback: rollbackOf(tree),
  };
}

/** One that is built and has no name gets that which Compose would give it. */
export function imageOf(
  project: Pick<Project, "name">,
  { tree, name }: ComposeService,
): string {
  return textAt(tree, "image") ?? `${project.name}-${name.toLowerCase()}`;
}

function isAwaited(project: Project, name: string): boolean {
  return [...project.services.values()].some(({ dependsOn }) =>
    dependsOn.some((one) => one.name === name && one.condition === "service_completed_successfully")
  );
}

function pullPolicyOf(tree: Tree): "missing" | "always" | "never" {
  const policy = textAt(tree, "pull_policy");
  if (policy === undefined) return get(tree, "pull_refresh_after") ? "always" : "missing";
  if (policy === "always" || policy === "never") return policy;
  if (/^(missing|if_not_present|build)$/.test(policy)) return "missing";
  if (/^(daily|weekly|refresh|every_.+)$/.test(policy)) return "always";
  throw new ComposeError(
    `pull_policy: must be always, missing or never, found "${policy}"`,
    get(tree, "pull_policy")?.at,
  );
}

/** What `x-berth` says comes on top. It is sent as it is written: what it leaves out stays. */
function withExtension(
  spec: ServiceSpecInput,
  project: Project,
  service: ComposeService,
): ServiceSpecInput {
  const tree = get(service.tree, "x-berth");
  if (!tree) return spec;
  const x = extensionOf(tree, service.name);
  const { template } = spec;
  const { strategy, pool, node, tolerations, affinity, spread } = x;
  const placement = present({ strategy, pool, node, tolerations, affinity });
  const allSpread = [...template.placement?.spread ?? [], ...spread ?? []];
  return {
    ...spec,
    ...present({
      routes: x.routes?.map((route) => certified(route, project)),
      priority: x.priority,
      singleton: x.singleton,
      disconnect: x.disconnect,
      disruption: x.disruption,
    }),
    ...(x.job ? { mode: { type: "job" as const, ...x.job } } : {}),
    ...(x.schedule ? { mode: { type: "cron" as const, ...x.schedule } } : {}),
    update: { ...spec.update, ...x.update },
    template: {
      ...template,
      ...present({ health: x.health, readiness: x.readiness }),
      placement: {
        ...template.placement,
        ...placement,
        ...(allSpread.length === 0 ? {} : { spread: allSpread }),
      },
    },
  };
}

/** The route with its certificate as the cluster calls it. */
function certified(route: RouteInput, project: Project): RouteInput {
  if (typeof route.tls !== "object") return route;
  return { ...route, tls: { certificate: sealedName(project, "secret", route.tls.certificate) } };
}

function extensionOf(tree: Tree, name: string): XBerthInput {
  const sent = toPlain(tree);
  const parsed = XBerth.safeParse(sent);
  const unread = parsed.success ? unreadField(sent, parsed.data) : undefined;
  if (parsed.success && !unread) return sent as XBerthInput;
  const [issue] = parsed.success ? [] : parsed.error.issues;
  const path = unread ?? (issue?.path ?? []).map(String);
  const what = unread ? "there is no such setting" : messageOf(issue);
  throw new ComposeError(
    `services.${name}.${["x-berth", ...path].join(".")}: ${what}`,
    placeIn(tree, path.map(String)),
    "berth config --schema prints the settings",
  );
}

function placeIn(tree: Tree, path: readonly string[]): Place {
  const [step, ...rest] = path;
  if (step === undefined) return tree.at;
  if (tree.kind === "map") {
    const entry = tree.entries.get(step);
    return entry ? (rest.length === 0 ? entry.at : placeIn(entry.value, rest)) : tree.at;
  }
  const item = itemsOf(tree)[Number(step)];
  return item ? placeIn(item, rest) : tree.at;
}
