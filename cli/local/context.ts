/**
 * A directory as the archive that the engine builds from, one file in memory at a time.
 *
 * @module
 */
import { isAbsolute, join, relative } from "node:path/posix";
import { TAR_END, type TarEntry, tarEntry } from "../../kv/schema/tar.ts";
import type { BuildPlan } from "../compose/map/build.ts";
import { type Ignore, parseIgnore } from "./ignore.ts";

/** A Dockerfile that is not among the files of the context travels under this name. */
const OWN_NAME = ".berth.Dockerfile";
const IGNORE_NAME = ".dockerignore";
const MAX_ENTRIES = 200_000;
const MAX_FILE_BYTES = 1024 ** 3;

export interface Context {
  /** What the engine is told that the Dockerfile is called. */
  dockerfile: string;
  archive(): AsyncGenerator<Uint8Array>;
}

/** Throws an `Error` for people when something of it cannot be read. */
export async function readContext(
  dir: string | undefined,
  dockerfile: BuildPlan["dockerfile"],
): Promise<Context> {
  const { name, text } = await placeOf(dir, dockerfile);
  return {
    dockerfile: name,
    async *archive() {
      if (text !== undefined) yield tarEntry({ name, type: "file", mode: 0o644, data: text });
      if (dir !== undefined) yield* filesOf(dir, name);
      yield TAR_END;
    },
  };
}

async function placeOf(
  dir: string | undefined,
  dockerfile: BuildPlan["dockerfile"],
): Promise<{ name: string; text?: Uint8Array }> {
  if ("text" in dockerfile) {
    return { name: OWN_NAME, text: new TextEncoder().encode(dockerfile.text) };
  }
  if (dir === undefined) return { name: dockerfile.path };
  const path = isAbsolute(dockerfile.path) ? dockerfile.path : join(dir, dockerfile.path);
  const inside = relative(dir, path);
  if (!inside.startsWith("..")) {
    await Deno.stat(path).catch(unreadable(path));
    return { name: inside };
  }
  return { name: OWN_NAME, text: await Deno.readFile(path).catch(unreadable(path)) };
}

async function* filesOf(dir: string, dockerfile: string): AsyncGenerator<Uint8Array> {
  const ignore = parseIgnore(await Deno.readTextFile(join(dir, IGNORE_NAME)).catch(() => ""));
  const always = new Set([dockerfile, IGNORE_NAME]);
  let left = MAX_ENTRIES;
  for await (const entry of walk(dir, "", ignore, always)) {
    if (left-- === 0) {
      throw new Error(`the context ${dir} has more than ${MAX_ENTRIES} files: see .dockerignore`);
    }
    yield tarEntry(entry);
  }
}

async function* walk(
  root: string,
  below: string,
  ignore: Ignore,
  always: ReadonlySet<string>,
): AsyncGenerator<TarEntry> {
  const here = join(root, below);
  const names: Deno.DirEntry[] = [];
  try {
    for await (const entry of Deno.readDir(here)) names.push(entry);
  } catch (error) {
    unreadable(here)(error);
  }
  // In order, so that the same files are the same archive.
  names.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isSymlink } of names) {
    const path = below === "" ? name : `${below}/${name}`;
    const wanted = always.has(path) || !ignore.excludes(path);
    const full = join(root, path);
    if (isDirectory) {
      if (ignore.skips(path) && ![...always].some((one) => one.startsWith(`${path}/`))) continue;
      const { mode } = await Deno.stat(full).catch(unreadable(full));
      if (wanted) yield { name: `${path}/`, type: "directory", mode: (mode ?? 0o755) & 0o7777 };
      yield* walk(root, path, ignore, always);
    } else if (!wanted) continue;
    else if (isSymlink) {
      yield { name: path, type: "link", mode: 0o777, target: await Deno.readLink(full) };
    } else yield* fileAt(full, path);
  }
}

/** Sockets and devices are no part of a context. */
async function* fileAt(full: string, name: string): AsyncGenerator<TarEntry> {
  const { mode, isFile, size } = await Deno.stat(full).catch(unreadable(full));
  if (!isFile) return;
  if (size > MAX_FILE_BYTES) {
    throw new Error(`${full} is larger than 1 GiB: leave it out with .dockerignore`);
  }
  const data = await Deno.readFile(full).catch(unreadable(full));
  yield { name, type: "file", mode: (mode ?? 0o644) & 0o7777, data };
}

function unreadable(path: string): (error: unknown) => never {
  return (error) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot read ${path}: ${why}`, { cause: error });
  };
}
