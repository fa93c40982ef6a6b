/**
 * Requests for forecasts, turned into what is supposed: names into ids, specs into rows.
 *
 * @module
 */
import { done, type Outcome, refuse } from "../kv/outcome.ts";
import type { SimulateRequest } from "../kv/schema/forecast.ts";
import { type Node, NodeFacts } from "../kv/schema/node.ts";
import type { Service, ServiceSpec, TaskTemplate } from "../kv/schema/service.ts";
import { changeOf } from "../kv/service_change.ts";
import type { Hypothesis, SupposedService } from "../scheduler/forecast/forecast.ts";
import type { ServiceRecord, World } from "../scheduler/world.ts";
import { createClaims } from "./supposed_claims.ts";

/** So many tasks may be supposed in one request: planning them holds the event loop for a second or two. */
const MAX_SUPPOSED_TASKS = 200_000;

export interface HypothesisDeps {
  newId: () => string;
  /** The time of day, for rows that have one. */
  at: string;
}

/** Ids of what never comes to be: ULIDs of the far end of time, so that they sort after all others. */
export function supposedIds(): () => string {
  let last = 0;
  return () => `7${"z".repeat(15)}${String(++last).padStart(10, "0")}`;
}

/** The services as they would be stored if these specs were applied, one after the other. */
export function supposeSpecs(
  world: World,
  specs: readonly ServiceSpec[],
  deps: HypothesisDeps,
): Outcome<SupposedService[]> {
  const supposed: SupposedService[] = [];
  const seen = new Set<string>();
  const claim = createClaims(world);
  for (const [i, spec] of specs.entries()) {
    const name = `${spec.project}/${spec.name}`;
    if (seen.has(name)) {
      return refuse("invalid", `service ${name} is there twice`, {
        hint: "Name each service once.",
        errors: [{ field: `specs.${i}.name`, message: `${name} is there twice` }],
      });
    }
    seen.add(name);
    const known = find(world, spec.project, spec.name);
    if (known?.service.deleting) {
      return refuse("busy", `service ${name} is being removed`, {
        hint: "Wait until it is gone and try again.",
      });
    }
    const made = known ? changed(known, spec, deps.at) : created(spec, deps);
    const claimed = claim(made, `specs.${i}`);
    if (!claimed.ok) return claimed;
    supposed.push(claimed.value);
  }
  return bounded(supposed, world.nodes.size, "specs");
}

/** Refuses what would take the planner too long: it runs on the thread that answers everyone. */
function bounded(
  supposed: SupposedService[],
  nodes: number,
  field: "specs" | "scale",
): Outcome<SupposedService[]> {
  const tasks = supposed.reduce((sum, { service }) => sum + tasksOf(service, nodes), 0);
  if (tasks <= MAX_SUPPOSED_TASKS) return done(supposed);
  const message = `asks for ${tasks} tasks in all, and at most ${MAX_SUPPOSED_TASKS} are supposed`;
  return refuse("invalid", `${field} ${message}`, {
    hint: "Ask about fewer services or replicas at a time.",
    errors: [{ field, message }],
  });
}

/** How many tasks of the service may be live at a time. */
function tasksOf({ mode }: Service, nodes: number): number {
  switch (mode.type) {
    case "replicated":
      return mode.replicas;
    case "global":
      return nodes;
    case "job":
      return Math.min(mode.completions, mode.parallelism);
    case "cron":
      return 1;
  }
}

function created(spec: ServiceSpec, { newId, at }: HypothesisDeps): SupposedService {
  const { template, ...rest } = spec;
  const stamps = { createdAt: at, updatedAt: at };
  const own = { revision: 1, ingressPorts: [], deleting: false };
  const service: Service = { ...rest, id: newId(), ...own, ...stamps };
  return { service, template, result: "created" };
}

function changed(known: ServiceRecord, spec: ServiceSpec, at: string): SupposedService {
  const template = templateOf(known);
  const newest = Math.max(known.service.revision, ...known.templates.keys());
  const change = template ? changeOf(known.service, template, spec, { at, newest }) : undefined;
  return change
    ? { service: change.row, template: spec.template, result: "changed" }
    : { service: known.service, template: spec.template, result: "unchanged" };
}

function templateOf({ service, templates }: ServiceRecord): TaskTemplate | undefined {
  return templates.get(service.revision);
}

function find(world: World, project: string, name: string): ServiceRecord | undefined {
  for (const record of world.services.values()) {
    if (record.service.name === name && record.service.project === project) return record;
  }
  return undefined;
}

/** Everything that a request supposes; refused when it names what is not there. */
export function supposeAll(
  world: World,
  request: SimulateRequest,
  deps: HypothesisDeps,
): Outcome<Hypothesis> {
  const fail = nodeIds(world, request.fail);
  if (!fail.ok) return fail;
  const drain = nodeIds(world, request.drain);
  if (!drain.ok) return drain;
  const services = supposeSpecs(world, request.specs, deps);
  if (!services.ok) return services;
  const scaled = scale(world, services.value, request.scale, deps.at);
  if (!scaled.ok) return scaled;
  const add = addedNodes(world, request, deps);
  const field = request.scale.length > 0 ? "scale" : "specs";
  const checked = bounded(scaled.value, world.nodes.size + add.length, field);
  if (!checked.ok) return checked;
  return done({ fail: fail.value, drain: drain.value, add, services: checked.value });
}

function nodeIds(world: World, refs: readonly string[]): Outcome<string[]> {
  const byName = new Map([...world.nodes].map(([id, { node }]) => [node.name, id]));
  const ids: string[] = [];
  for (const ref of refs) {
    const id = world.nodes.has(ref) ? ref : byName.get(ref);
    if (id === undefined) {
      return refuse("not-found", `there is no node ${ref}`, {
        hint: "`berth nodes` lists the nodes.",
      });
    }
    ids.push(id);
  }
  return done(ids);
}

/** Scales what the specs suppose, or else what there is. */
function scale(
  world: World,
  supposed: readonly SupposedService[],
  wanted: SimulateRequest["scale"],
  at: string,
): Outcome<SupposedService[]> {
  const all = new Map(
    supposed.map((one) => [`${one.service.project}/${one.service.name}`, one]),
  );
  for (const [i, { service: name, project, replicas }] of wanted.entries()) {
    const record = find(world, project, name);
    const template = record && templateOf(record);
    const base = all.get(`${project}/${name}`) ??
      (template ? { service: record.service, template, result: "unchanged" as const } : undefined);
    if (!base) {
      return refuse("not-found", `there is no service ${name} in project ${project}`, {
        hint: "`berth services` lists the services.",
      });
    }
    const { mode } = base.service;
    if (mode.type !== "replicated") {
      return refuse("invalid", `service ${name} is of mode ${mode.type}: it has no replicas`, {
        hint: "Change its spec instead.",
        errors: [{ field: `scale.${i}.service`, message: "must be a replicated service" }],
      });
    }
    if (mode.replicas === replicas) {
      all.set(`${project}/${name}`, base);
      continue;
    }
    const service: Service = { ...base.service, mode: { ...mode, replicas }, updatedAt: at };
    const result = base.result === "created" ? "created" : "changed";
    all.set(`${project}/${name}`, { ...base, service, result });
  }
  return done([...all.values()]);
}

function addedNodes(world: World, request: SimulateRequest, deps: HypothesisDeps): Node[] {
  const taken = new Set([...world.nodes.values()].map(({ node }) => node.name));
  const like = world.nodes.values().next().value?.node;
  const nodes: Node[] = [];
  let number = 0;
  for (const { count, capacity, labels } of request.add) {
    for (let i = 0; i < count; i++) {
      do number++; while (taken.has(`new-${number}`));
      const facts = NodeFacts.parse({
        name: `new-${number}`,
        address: "127.0.0.1",
        capacity,
        labels,
        os: like?.os ?? "linux",
        arch: like?.arch ?? "x86_64",
        runtime: "sim",
        engine: "none: supposed",
        agentVersion: "0",
      });
      nodes.push({ ...facts, id: deps.newId(), joinedAt: deps.at });
    }
  }
  return nodes;
}
