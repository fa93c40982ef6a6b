/**
 * `pre_start`: steps that run to their end before a service starts are jobs, each of which the next one,
 * and at last the service, waits for. Pure.
 *
 * @module
 */
import type { Dependency } from "./graph.ts";
import { wavesOf } from "./graph.ts";
import type { ComposeService, Project } from "./resolve.ts";
import {
  ComposeError,
  entriesOf,
  get,
  itemsOf,
  map,
  type MapTree,
  scalar,
  type Tree,
  withEntry,
} from "./tree.ts";
import { flagOf } from "./values.ts";

/** Keys of a service that say how often and where it is reached: a step has none of that. */
const OWN = [
  "ports",
  "expose",
  "healthcheck",
  "pre_start",
  "post_start",
  "pre_stop",
  "deploy",
  "scale",
];
const OTHERS = ["container_name", "profiles", "restart", "x-berth", "depends_on"];

const STEP = "-pre-start-";

/** The service that a name is of: its own, or that of a step. */
export function ownerOf(name: string): string {
  return name.replace(new RegExp(`${STEP}\\d+$`), "");
}

export function withSteps(project: Project): Project {
  const services = new Map<string, ComposeService>();
  for (const service of project.services.values()) {
    const steps = stepsOf(service);
    let before = service.dependsOn;
    for (const step of steps) {
      if (project.services.has(step.name)) {
        const at = get(service.tree, "pre_start")?.at;
        throw new ComposeError(
          `the name ${step.name} is that of a pre_start step`,
          at,
          "rename it",
        );
      }
      services.set(step.name, { ...step, dependsOn: before });
      before = [...before.filter(isOwn(service)), awaiting(step)];
    }
    services.set(service.name, { ...service, dependsOn: before });
  }
  return { ...project, services, waves: wavesOf(services) };
}

/** Of what a step waited for, the service itself waits too: it may break in between. */
function isOwn(service: ComposeService) {
  return (dependency: Dependency) => service.dependsOn.includes(dependency);
}

function awaiting({ name, at }: ComposeService): Dependency {
  return { name, at, condition: "service_completed_successfully", required: true };
}

function stepsOf(service: ComposeService): ComposeService[] {
  return itemsOf(get(service.tree, "pre_start")).map((hook, i) => {
    const perReplica = get(hook, "per_replica");
    if (perReplica?.kind === "scalar" && flagOf(perReplica.value) === true) {
      throw new ComposeError(
        `services.${service.name}.pre_start: per_replica is refused: steps run once for the service`,
        perReplica.at,
        "put it into the image's entrypoint, or use post_start",
      );
    }
    const name = `${service.name}${STEP}${i + 1}`;
    return {
      name,
      berthName: `${service.berthName}${STEP}${i + 1}`,
      at: hook.at,
      tree: stepTree(service.tree, hook),
      dependsOn: [],
    };
  });
}

function stepTree(service: MapTree, hook: Tree): MapTree {
  let tree = service;
  for (const key of [...OWN, ...OTHERS]) tree = withEntry(tree, key, undefined);
  for (const key of ["image", "user", "working_dir", "privileged"]) {
    const own = get(hook, key);
    if (own) tree = withEntry(tree, key, own);
  }
  const environment = new Map<string, Tree>();
  for (const from of [service, hook]) {
    for (const [name, { value }] of entriesOf(get(from, "environment"))) {
      environment.set(name, value);
    }
  }
  if (environment.size > 0) tree = withEntry(tree, "environment", map(environment, hook.at));
  tree = withEntry(tree, "entrypoint", get(hook, "command"));
  tree = withEntry(tree, "command", undefined);
  return withEntry(tree, "restart", scalar("no", hook.at));
}
