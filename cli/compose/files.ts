/**
 * One file and all that it draws in: what it extends and what it includes.
 *
 * 1. Every file that is drawn in is on the chain of those that draw it in: a circle is an error.
 * 2. Nothing is read twice for the same purpose, and no more than {@link MAX_FILES} in all.
 *
 * @module
 */
import { dirname } from "node:path/posix";
import { canonical } from "./canonical.ts";
import { checkFile } from "./check.ts";
import { parseEnvFile } from "./env_file.ts";
import { interpolateTree, type Lookup, type Variables } from "./interpolate.ts";
import { merge, untagged } from "./merge.ts";
import { absolute, absolutePaths, isRemote } from "./paths.ts";
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
  textOf,
  toPlain,
  type Tree,
  withEntry,
} from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/** What the loader needs from outside. */
export interface Source {
  /** The text of a file; rejects when it cannot be read. */
  read(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
  home: string | undefined;
}

export interface Loader {
  source: Source;
  variables: Variables;
  /** Files read so far. */
  count: { files: number };
}

const MAX_FILES = 500;
export const SECTIONS = ["services", "networks", "volumes", "secrets", "configs"] as const;

/** A file with its includes, canonical and with absolute paths. `dir` is what paths are relative to. */
export async function loadFile(
  path: string,
  { dir, chain, from }: { dir: string; chain: readonly string[]; from?: Place },
  loader: Loader,
): Promise<MapTree> {
  if (chain.includes(path)) {
    const circle = [...chain.slice(chain.indexOf(path)), path].map(lastName).join(" → ");
    throw new ComposeError(`files include one another in a circle: ${circle}`, from, BREAK);
  }
  const file = await readFile(path, { dir, ...(from ? { from } : {}) }, loader);
  const extended = await extendAll(file, path, loader);
  return await includeAll(extended, { dir, chain: [...chain, path] }, loader);
}

const BREAK = "take one of them out of the circle";

/** A file by itself: read, checked, canonical. */
async function readFile(
  path: string,
  { dir, from }: { dir: string; from?: Place },
  loader: Loader,
): Promise<MapTree> {
  if (++loader.count.files > MAX_FILES) {
    throw new ComposeError(`more than ${MAX_FILES} files belong to this`, from);
  }
  const tree = parseYaml(await readText(path, from, loader.source), path) ??
    map([], { file: path, line: 1, column: 1 });
  const filled = interpolateTree(tree, loader.variables);
  checkFile(filled);
  const whole = canonical(filled);
  if (whole.kind !== "map") throw new ComposeError("a Compose file is a map", whole.at);
  return absolutePaths(whole, { dir, home: loader.source.home });
}

export async function readText(
  path: string,
  from: Place | undefined,
  source: Pick<Source, "read">,
): Promise<string> {
  try {
    return await source.read(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound || /no such file/i.test(String(error))
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new ComposeError(
      `cannot read ${path}: ${why}`,
      from,
      "check the path, and who may read it",
    );
  }
}

async function extendAll(file: MapTree, path: string, loader: Loader): Promise<MapTree> {
  const services = file.entries.get("services");
  if (services?.value.kind !== "map") return file;
  const extended = new Map<string, Entry>();
  for (const [name, { at, value }] of services.value.entries) {
    extended.set(name, { at, value: await extend(value, { name, path, file, chain: [] }, loader) });
  }
  return withEntry(file, "services", { ...services.value, entries: extended });
}

interface Extension {
  name: string;
  path: string;
  file: MapTree;
  chain: readonly string[];
}

/** The service on top of what it extends. */
async function extend(service: Tree, extension: Extension, loader: Loader): Promise<Tree> {
  const clause = get(service, "extends");
  if (service.kind !== "map" || !clause) return service;
  const { name, path, chain } = extension;
  const here = `${path}#${name}`;
  if (chain.includes(here)) {
    const circle = [...chain.slice(chain.indexOf(here)), here].map(lastName).join(" → ");
    throw new ComposeError(`services extend one another in a circle: ${circle}`, clause.at, BREAK);
  }
  const baseName = textOf(get(clause, "service")) ?? "";
  const basePath = textOf(get(clause, "file")) ?? path;
  refuseRemote(basePath, clause.at);
  const file = basePath === path
    ? extension.file
    : await readFile(basePath, { dir: dirname(basePath), from: clause.at }, loader);
  const base = get(file, "services", baseName);
  if (!base) {
    const known = entriesOf(get(file, "services")).map(([other]) => other).join(", ");
    throw new ComposeError(
      `there is no service ${baseName} in ${lastName(basePath)} to extend`,
      clause.at,
      `it has ${known === "" ? "no services" : known}`,
    );
  }
  const full = await extend(
    base,
    { name: baseName, path: basePath, file, chain: [...chain, here] },
    loader,
  );
  const own = withEntry(service, "extends", undefined);
  return merge(untagged(full.kind === "map" ? withEntry(full, "extends", undefined) : full), own);
}

/** Puts what a file includes beside what it says itself. */
async function includeAll(
  file: MapTree,
  context: { dir: string; chain: readonly string[] },
  loader: Loader,
): Promise<MapTree> {
  let whole = withEntry(file, "include", undefined);
  for (const item of itemsOf(get(file, "include"))) {
    const base = { dir: context.dir, home: loader.source.home };
    const paths = pathsOf(item.kind === "map" ? get(item, "path") : item).map((path) => {
      refuseRemote(path, item.at);
      return absolute(path, base);
    });
    const given = textOf(get(item, "project_directory"));
    const dir = given === undefined ? dirname(paths[0] ?? "") : absolute(given, base);
    const variables = await included(item, dir, base, loader);
    let merged: Tree = map([], item.at);
    for (const path of paths) {
      const inner = { ...loader, variables };
      const loaded = await loadFile(path, { dir, chain: context.chain, from: item.at }, inner);
      merged = merge(merged, loaded);
    }
    whole = beside(whole, merged, item);
  }
  return whole;
}

/** The variables of an included file: those of the project, then those of its own env files. */
async function included(
  item: Tree,
  dir: string,
  base: { dir: string; home: string | undefined },
  loader: Loader,
): Promise<Variables> {
  const { variables, source } = loader;
  const named = pathsOf(get(item, "env_file")).map((path) => absolute(path, base));
  const standard = `${dir}/.env`;
  const files = named.length > 0 ? named : await source.exists(standard) ? [standard] : [];
  const own = await readVariables(files, variables.lookup, { source, from: item.at });
  return { ...variables, lookup: (name) => variables.lookup(name) ?? own.get(name) };
}

/** The variables of several files, later ones on top. */
export async function readVariables(
  paths: readonly string[],
  lookup: Lookup,
  { source, from }: { source: Pick<Source, "read">; from?: Place },
): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const file of paths) {
    const text = await readText(file, from, source);
    const known: Lookup = (name) => lookup(name) ?? all.get(name);
    for (const [name, value] of parseEnvFile(text, { file, lookup: known })) all.set(name, value);
  }
  return all;
}

function beside(file: MapTree, included: Tree, item: Tree): MapTree {
  let whole = file;
  for (const section of SECTIONS) {
    const incoming = entriesOf(get(included, section));
    if (incoming.length === 0) continue;
    const before = get(whole, section);
    const entries = new Map(before?.kind === "map" ? before.entries : []);
    for (const [name, entry] of incoming) {
      const own = entries.get(name);
      if (own && JSON.stringify(toPlain(own.value)) !== JSON.stringify(toPlain(entry.value))) {
        throw new ComposeError(
          `${section}.${name} is here, and differently in ${
            placeText(entry.at)
          }, which is included`,
          own.at,
          "rename one, or change the included one in a file given with a further -f",
        );
      }
      entries.set(name, entry);
    }
    whole = withEntry(whole, section, { kind: "map", at: before?.at ?? item.at, entries });
  }
  return whole;
}

function pathsOf(tree: Tree | undefined): string[] {
  const one = textOf(tree);
  return one === undefined ? itemsOf(tree).flatMap((item) => textOf(item) ?? []) : [one];
}

/** What is read is on this machine, so that nobody else decides what runs. */
function refuseRemote(path: string, at: Place): void {
  if (!isRemote(path)) return;
  const next = "fetch it yourself, look at it, and name the file";
  throw new ComposeError(`${path} is on another machine: files are not fetched`, at, next);
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
