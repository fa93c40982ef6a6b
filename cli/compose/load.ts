/**
 * From what stands on the command line to one Compose model: which files there are, which variables, the
 * project's name, and the files merged.
 *
 * @module
 */
import { basename, dirname } from "node:path/posix";
import { type Loader, loadFile, readText, readVariables, type Source } from "./files.ts";
import { interpolateTree, type Lookup } from "./interpolate.ts";
import { merge, untagged } from "./merge.ts";
import { absolute } from "./paths.ts";
import {
  ComposeError,
  get,
  map,
  type MapTree,
  type Place,
  placeText,
  textOf,
  type Tree,
} from "./tree.ts";
import { parseYaml } from "./yaml.ts";

export interface LoadOptions {
  /** `-f`, in order; `-` is standard input. */
  files: readonly string[];
  /** `-p`. */
  project: string | undefined;
  /** `--project-directory`. */
  projectDir: string | undefined;
  /** `--env-file`, in order. */
  envFiles: readonly string[];
  /** `--profile`. */
  profiles: readonly string[];
}

export interface Surroundings extends Source {
  cwd: string;
  /** The environment of the command. */
  env: Lookup;
}

/** A project as its files say it, before profiles and references are looked at. */
export interface Model {
  name: string;
  dir: string;
  files: readonly string[];
  profiles: readonly string[];
  tree: MapTree;
  lookup: Lookup;
  /** What the user should know, and may be meant. */
  warnings: string[];
}

const NAMES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const OVERRIDES = [
  ...["compose.override.yaml", "compose.override.yml"],
  ...["docker-compose.override.yaml", "docker-compose.override.yml"],
];
const MAX_PARENTS = 32;
export const STDIN = "-";

/** A variable that is set nowhere and became empty. */
export interface Unset {
  name: string;
  at: Place;
}

/**
 * Loads the project. Throws a {@link ComposeError} when anything is wrong. Each variable that became empty
 * is put into `unset`: it may be the reason.
 */
export async function loadModel(
  options: LoadOptions,
  around: Surroundings,
  unset: Unset[] = [],
): Promise<Model> {
  const base = { dir: around.cwd, home: around.home };
  const start = options.projectDir === undefined ? around.cwd : absolute(options.projectDir, base);
  // Where no file is named, `.env` may name them.
  const early = options.files.length > 0 ? around.env : await variablesOf(options, start, around);
  const files = await findFiles(options.files, { ...around, env: early, start });
  const first = files[0] ?? STDIN;
  const dir = options.projectDir !== undefined || first === STDIN ? start : dirname(first);
  const lookup = await variablesOf(options, dir, around);
  const loader: Loader = {
    source: around,
    count: { files: 0 },
    variables: {
      lookup,
      unset: (name, at) => unset.push({ name, at }),
    },
  };
  const given = projectOf(options.project ?? lookup("COMPOSE_PROJECT_NAME")) ??
    await nameIn(files, loader) ?? defaultName(dir);
  loader.variables.lookup = (name) => name === "COMPOSE_PROJECT_NAME" ? given : lookup(name);
  let tree: Tree = map([], { file: first, line: 1, column: 1 });
  for (const path of files) tree = merge(tree, await loadFile(path, { dir, chain: [] }, loader));
  const whole = untagged(tree);
  if (whole.kind !== "map" || !get(whole, "services")) {
    throw new ComposeError("there are no services in it", whole.at, "write them under services:");
  }
  return {
    name: given,
    dir,
    files,
    profiles: profilesOf(options, lookup),
    tree: whole,
    lookup,
    warnings: warningsOf(unset),
  };
}

/** Each variable once, where it is used first. */
function warningsOf(unset: readonly Unset[]): string[] {
  return unset.filter(({ name }, i) => unset.findIndex((other) => other.name === name) === i)
    .map(({ name, at }) => `${placeText(at)}: the variable ${name} is not set: it becomes empty`);
}

/** What an error may come from: the variables in its line that are not set. */
export function unsetAt(place: Place | undefined, unset: readonly Unset[]): string {
  const names = unset.filter(({ at }) => at.file === place?.file && at.line === place.line)
    .map(({ name }) => name);
  if (names.length === 0) return "";
  const all = [...new Set(names)].join(", ");
  return `not set here, and so empty: ${all}; set it in the environment or in .env`;
}

async function findFiles(
  given: readonly string[],
  around: Surroundings & { start: string },
): Promise<string[]> {
  const base = { dir: around.cwd, home: around.home };
  const separator = around.env("COMPOSE_PATH_SEPARATOR") ?? ":";
  const named = given.length > 0
    ? given
    : (around.env("COMPOSE_FILE") ?? "").split(separator).filter((file) => file !== "");
  if (named.length > 0) {
    return named.map((file) => file === STDIN ? STDIN : absolute(file, base));
  }
  const { start } = around;
  let dir = start;
  for (let i = 0; i < MAX_PARENTS; i++) {
    for (const name of NAMES) {
      const path = `${dir === "/" ? "" : dir}/${name}`;
      if (!await around.exists(path)) continue;
      for (const override of OVERRIDES) {
        const over = `${dirname(path)}/${override}`;
        if (await around.exists(over)) return [path, over];
      }
      return [path];
    }
    if (dir === dirname(dir)) break;
    dir = dirname(dir);
  }
  throw new ComposeError(
    `there is no compose.yaml in ${start} or above it`,
    undefined,
    "change to the project's directory, or name the file with -f",
  );
}

/** The project's name as the last file that has one says it; values may refer to it. */
async function nameIn(files: readonly string[], loader: Loader): Promise<string | undefined> {
  let found: Tree | undefined;
  for (const path of files) {
    const tree = parseYaml(await readText(path, undefined, loader.source), path);
    found = get(tree, "name") ?? found;
  }
  return found && projectOf(textOf(interpolateTree(found, loader.variables)), found);
}

/** The environment comes first, then `--env-file` or the project's `.env`. */
async function variablesOf(
  { envFiles }: LoadOptions,
  dir: string,
  around: Surroundings,
): Promise<Lookup> {
  const base = { dir: around.cwd, home: around.home };
  const standard = `${dir}/.env`;
  const named = envFiles.length > 0
    ? envFiles
    : (around.env("COMPOSE_ENV_FILES") ?? "").split(",").filter((path) => path !== "");
  const paths = named.length > 0
    ? named.map((path) => absolute(path, base))
    : await around.exists(standard)
    ? [standard]
    : [];
  const own = await readVariables(paths, around.env, { source: around });
  return (name) => around.env(name) ?? own.get(name);
}

function profilesOf({ profiles }: LoadOptions, lookup: Lookup): string[] {
  if (profiles.length > 0) return [...profiles];
  return (lookup("COMPOSE_PROFILES") ?? "").split(",").map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Compose's names may have `_`; Berth's become host names and may not. */
function projectOf(name: string | undefined, at?: Tree): string | undefined {
  if (name === undefined || name === "") return undefined;
  const fitted = fittedName(name);
  if (fitted !== undefined) return fitted;
  throw new ComposeError(
    `"${name}" is no name for a project`,
    at?.at,
    "write 1 to 63 of a-z, 0-9 and -, beginning with a letter or number",
  );
}

function defaultName(dir: string): string {
  return fittedName(basename(dir)) ?? "default";
}

/** The nearest name that may be a host name; undefined when nothing is left of it. */
export function fittedName(name: string): string | undefined {
  const fitted = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return fitted === "" || fitted.length > 63 ? undefined : fitted;
}
