/**
 * The services that are meant, with everything that they refer to looked up: profiles, env files,
 * dependencies, and names of networks, volumes, secrets and configs.
 *
 * @module
 */
import { parseEnvFile } from "./env_file.ts";
import { readText, type Source } from "./files.ts";
import { checkOrder, type Dependency, wavesOf } from "./graph.ts";
import type { Model } from "./load.ts";
import { fittedName } from "./load.ts";
import {
  ComposeError,
  entriesOf,
  type Entry,
  get,
  itemsOf,
  map,
  type MapTree,
  type Place,
  placeText,
  scalar,
  textOf,
  type Tree,
  withEntry,
} from "./tree.ts";
import { checkReferences } from "./references.ts";
import { checkRefused } from "./uses.ts";
import { flagOf } from "./values.ts";

export interface ComposeService {
  /** As the file calls it. */
  name: string;
  /** As the cluster calls it. */
  berthName: string;
  at: Place;
  tree: MapTree;
  dependsOn: Dependency[];
}

export interface Project {
  name: string;
  dir: string;
  services: Map<string, ComposeService>;
  /** Services of the files that are not meant now: their profile is off, or others were named. */
  resting: ReadonlySet<string>;
  /** Services that depend on nothing first. */
  waves: string[][];
  tree: MapTree;
  warnings: string[];
}

export interface Selection {
  /** Only these and what they depend on; empty for all. */
  services: readonly string[];
}

/** Throws a {@link ComposeError} for the first reference that leads nowhere. */
export async function resolve(
  model: Model,
  { services: named }: Selection,
  source: Pick<Source, "read">,
): Promise<Project> {
  const all = new Map(entriesOf(get(model.tree, "services")));
  for (const name of named) {
    if (all.has(name)) continue;
    const known = [...all.keys()].join(", ");
    throw new ComposeError(`there is no service ${name}`, undefined, `there are ${known}`);
  }
  const warnings = [...model.warnings];
  const enabled = new Map(
    [...all].filter(([name, { value }]) =>
      named.includes(name) || isEnabled(value, model.profiles)
    ),
  );
  const services = new Map<string, ComposeService>();
  const names = new Map<string, string>();
  for (const [name, entry] of enabled) {
    const berthName = nameFor(name, entry, names);
    const dependsOn = dependenciesOf(name, entry.value, { all, enabled, warnings });
    const filled = await withFiles(entry.value, { model, source });
    services.set(name, { name, berthName, at: entry.at, tree: filled, dependsOn });
  }
  const project = { name: model.name, dir: model.dir, tree: model.tree, warnings };
  checkOrder(services);
  const wanted = named.length === 0 ? services : closure(services, named);
  checkRefused({ tree: model.tree, services: wanted });
  checkReferences(model.tree, wanted);
  const resting = new Set([...all.keys()].filter((name) => !wanted.has(name)));
  return { ...project, services: wanted, resting, waves: wavesOf(wanted) };
}

function isEnabled(service: Tree, active: readonly string[]): boolean {
  const profiles = itemsOf(get(service, "profiles")).map(textOf);
  return profiles.length === 0 || active.includes("*") ||
    profiles.some((profile) => profile !== undefined && active.includes(profile));
}

function nameFor(name: string, { at }: Entry, taken: Map<string, string>): string {
  const fitted = fittedName(name);
  if (fitted === undefined) {
    throw new ComposeError(`services.${name}: no host name can be made of it`, at, "rename it");
  }
  const other = taken.get(fitted);
  if (other !== undefined) {
    const message = `services.${name} and ${other} would both be called ${fitted} in the cluster`;
    throw new ComposeError(message, at, "rename one: host names have no capitals, _ or .");
  }
  taken.set(fitted, name);
  return fitted;
}

function dependenciesOf(
  name: string,
  service: Tree,
  { all, enabled, warnings }: {
    all: ReadonlyMap<string, Entry>;
    enabled: ReadonlyMap<string, Entry>;
    warnings: string[];
  },
): Dependency[] {
  const found: Dependency[] = [];
  for (const [other, { at, value }] of entriesOf(get(service, "depends_on"))) {
    const required = flagOf(textOf(get(value, "required")) ?? "true") ?? true;
    if (!enabled.has(other)) {
      const why = all.has(other) ? `${other} is in no profile that is on` : `there is no ${other}`;
      if (!required) {
        warnings.push(`${placeText(at)}: ${name} goes without ${other}: ${why}`);
        continue;
      }
      const next = all.has(other)
        ? "turn its profile on with --profile"
        : "define it, or take it out";
      throw new ComposeError(`services.${name}.depends_on: ${why}`, at, next);
    }
    const condition = textOf(get(value, "condition")) ?? "service_started";
    found.push({ name: other, condition: condition as Dependency["condition"], required, at });
  }
  return [...found, ...linked(service, found).filter(({ name: other }) => enabled.has(other))];
}

/** What a service links it also waits for, as in Compose. */
function linked(service: Tree, before: readonly Dependency[]): Dependency[] {
  return itemsOf(get(service, "links")).flatMap((item) => {
    const [name = ""] = (textOf(item) ?? "").split(":");
    if (before.some((one) => one.name === name)) return [];
    return [{ name, condition: "service_started", required: true, at: item.at }];
  });
}

/** The environment and the labels, those from files included. */
async function withFiles(
  service: Tree,
  { model, source }: { model: Model; source: Pick<Source, "read"> },
): Promise<MapTree> {
  if (service.kind !== "map") throw new ComposeError("a service is a map", service.at);
  const environment = await environmentOf(service, { model, source });
  const labels = new Map<string, Tree>();
  for (const item of itemsOf(get(service, "label_file"))) {
    const file = textOf(item) ?? "";
    const text = await readText(file, item.at, source);
    for (const [name, value] of parseEnvFile(text, { file, lookup: model.lookup })) {
      labels.set(name, scalar(value, item.at));
    }
  }
  for (const [name, { value }] of entriesOf(get(service, "labels"))) labels.set(name, value);
  const bare = withEntry(withEntry(service, "env_file", undefined), "label_file", undefined);
  const parts = [["environment", environment], ["labels", labels]] as const;
  return parts.reduce<MapTree>(
    (tree, [name, entries]) =>
      entries.size === 0 ? tree : withEntry(tree, name, {
        ...map(entries, get(service, name)?.at ?? service.at),
      }),
    bare,
  );
}

async function environmentOf(
  service: MapTree,
  { model, source }: { model: Model; source: Pick<Source, "read"> },
): Promise<Map<string, Tree>> {
  const environment = new Map<string, Tree>();
  for (const item of itemsOf(get(service, "env_file"))) {
    const path = get(item, "path");
    const file = textOf(path) ?? "";
    const optional = flagOf(textOf(get(item, "required")) ?? "true") === false;
    let text: string;
    try {
      text = await readText(file, path?.at, source);
    } catch (error) {
      if (optional && error instanceof ComposeError) continue;
      throw error;
    }
    const lookup = (name: string) => model.lookup(name) ?? textOf(environment.get(name));
    const raw = textOf(get(item, "format")) === "raw";
    for (const [name, value] of parseEnvFile(text, { file, lookup, raw })) {
      environment.set(name, scalar(value, path?.at ?? item.at));
    }
  }
  for (const [name, { at, value }] of entriesOf(get(service, "environment"))) {
    const text = textOf(value) ?? model.lookup(name);
    if (text !== undefined) environment.set(name, scalar(text, at));
    else environment.delete(name);
  }
  return environment;
}

function closure(
  services: ReadonlyMap<string, ComposeService>,
  named: readonly string[],
): Map<string, ComposeService> {
  const wanted = new Set<string>();
  const visit = (name: string) => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const { name: other } of services.get(name)?.dependsOn ?? []) visit(other);
  };
  named.forEach(visit);
  return new Map([...services].filter(([name]) => wanted.has(name)));
}
