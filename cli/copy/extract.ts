/**
 * Unpacks a tar of a container's files here, as `docker cp` does.
 *
 * 1. Nothing is written outside of `root`: names with `..` are refused, and no link is ever followed,
 *    neither one that the archive made nor one that was here before.
 * 2. Ids of owners are of the container and mean nothing here: what is made belongs to who copies, and
 *    bits that lend rights (setuid, setgid) are not kept. `keepOwners` keeps both.
 * 3. Devices and pipes are left out, and told.
 *
 * @module
 */
import { lchown } from "node:fs/promises";
import { type ReadEntry, readTar, TarError } from "../../kv/schema/tar_read.ts";

export interface Extracted {
  files: number;
  /** Left out, by name. */
  skipped: string[];
}

export type Extracting = { ok: true; value: Extracted } | { ok: false; message: string };

/** A path that the archive may not have, or that is something else here. */
class Refused extends Error {}

/**
 * `root` is what the archive's first path component becomes: it is a file's own name, or a directory, which
 * is made if need be.
 */
export async function extract(
  tar: AsyncIterable<Uint8Array>,
  { root, strip, keepOwners = false }: { root: string; strip: boolean; keepOwners?: boolean },
): Promise<Extracting> {
  const made: Extracted = { files: 0, skipped: [] };
  const directories: [string, ReadEntry][] = [];
  try {
    // A root that is a link was chosen by the user, who may mean where it leads.
    const mayBeLink = (await lstat(root))?.isSymlink === true;
    const at: Root = { root, strip, mayBeLink, keepOwners };
    for await (const entry of readTar(tar)) {
      const path = placeOf(entry.name, at);
      await checkWay(path, at);
      const done = await put(entry, path, at);
      if (done === "skipped") made.skipped.push(entry.name);
      else made.files++;
      if (done === "made" && entry.type === "directory") directories.push([path, entry]);
    }
    // Modes and times of directories come last: they may forbid what is written into them.
    for (const [path, entry] of directories.reverse()) await finish(path, entry, at);
    return { ok: true, value: made };
  } catch (error) {
    if (error instanceof TarError || error instanceof Refused || isFileError(error)) {
      return { ok: false, message: (error as Error).message };
    }
    throw error;
  }
}

interface Root {
  root: string;
  strip: boolean;
  mayBeLink: boolean;
  keepOwners: boolean;
}

/** Where an entry goes: invariant 1. */
function placeOf(name: string, { root, strip }: Root): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Refused(`the archive has a path that leads out: ${name}`);
  const rest = strip ? parts.slice(1) : parts;
  return rest.length === 0 ? root : `${root === "/" ? "" : root}/${rest.join("/")}`;
}

/** Every directory between the root and the path is one, and no link: invariant 1. */
async function checkWay(path: string, { root, mayBeLink }: Root): Promise<void> {
  const below = path.slice(root.length).split("/").slice(1, -1);
  let at = root;
  if (path === root) return;
  for (const part of ["", ...below]) {
    if (part !== "") at = `${at === "/" ? "" : at}/${part}`;
    const found = await lstat(at);
    if (found?.isSymlink && !(at === root && mayBeLink)) {
      throw new Refused(`${at} is a link: nothing is put through it`);
    }
    if (found && !found.isDirectory && !found.isSymlink) throw new Refused(`${at} is no directory`);
    if (!found) await Deno.mkdir(at, { recursive: true });
  }
}

async function put(
  entry: ReadEntry,
  path: string,
  at: Root,
): Promise<"made" | "there" | "skipped"> {
  const here = await lstat(path);
  if (entry.type === "directory") {
    if (here?.isDirectory || (path === at.root && at.mayBeLink)) return "there";
    if (here) throw new Refused(`${path} is no directory: a directory cannot replace it`);
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    return "made";
  }
  if (entry.type === "other") return "skipped";
  if (here?.isDirectory) throw new Refused(`${path} is a directory: a file cannot replace it`);
  // A file that is new cannot be a link to somewhere else, nor be shared with another name.
  if (here) await Deno.remove(path);
  if (path === at.root) at.mayBeLink = false;
  if (entry.type === "link") {
    await Deno.symlink(entry.target ?? "", path);
    await own(path, entry, at);
  } else if (entry.type === "hard") {
    const target = placeOf(entry.target ?? "", at);
    await checkWay(target, at);
    if ((await lstat(target))?.isSymlink) throw new Refused(`${target} is a link`);
    await Deno.link(target, path);
  } else {
    const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    try {
      for await (const piece of entry.content) {
        for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
      }
    } finally {
      file.close();
    }
    await finish(path, entry, at);
  }
  return "made";
}

async function finish(path: string, entry: ReadEntry, at: Root): Promise<void> {
  if ((await lstat(path))?.isSymlink) return;
  const { mode, mtimeSeconds = 0 } = entry;
  await own(path, entry, at); // First: it takes the bits that lend rights away.
  await Deno.chmod(path, mode & (at.keepOwners ? 0o7777 : 0o777)); // (2)
  if (mtimeSeconds > 0) await Deno.utime(path, mtimeSeconds, mtimeSeconds);
}

/** Of the path itself, and not of what it may lead to. */
async function own(path: string, { uid = 0, gid = 0 }: ReadEntry, at: Root): Promise<void> {
  if (!at.keepOwners) return;
  try {
    await lchown(path, uid, gid);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EPERM") throw error;
    throw new Refused(`only root may give ${path} to ${uid}:${gid}: leave out -a, or copy as root`);
  }
}

export async function lstat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What the file system says no to is expected; anything else is a bug. */
export function isFileError(error: unknown): boolean {
  return error instanceof Error &&
      Object.values(Deno.errors).some((kind) => error instanceof kind) ||
    (error instanceof Error && "code" in error && typeof error.code === "string");
}
