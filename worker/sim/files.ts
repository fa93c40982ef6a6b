/**
 * Files of a simulated container: what was put into it, over a few directories that are always there.
 *
 * @module
 */
import type { FileStat } from "../../kv/schema/inside.ts";
import { joined, TAR_END, type TarEntry, tarEntry } from "../../kv/schema/tar.ts";
import { readTar, TarError } from "../../kv/schema/tar_read.ts";

type SimFile = Pick<TarEntry, "type" | "mode" | "data" | "target" | "mtimeSeconds">;

/** By absolute path, without a slash at the end. */
export type SimFiles = Map<string, SimFile>;

const DIRECTORIES = ["/", "/etc", "/home", "/root", "/srv", "/tmp", "/usr", "/var"];

export function newFiles(): SimFiles {
  return new Map(DIRECTORIES.map((path) => [path, { type: "directory", mode: 0o755 }]));
}

/** `..` goes no further up than the root. */
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function statFile(files: SimFiles, path: string): FileStat | undefined {
  const file = files.get(normal(path));
  return file && {
    name: baseOf(normal(path)) || "/",
    type: file.type,
    size: file.data?.length ?? 0,
    ...(file.target === undefined ? {} : { target: file.target }),
  };
}

/** The archive of a path; undefined when nothing is there. */
export function readFiles(files: SimFiles, path: string): Uint8Array | undefined {
  const root = normal(path);
  if (!files.has(root)) return undefined;
  const base = baseOf(root);
  const below = root === "/" ? "/" : `${root}/`;
  const inside = [...files].filter(([name]) => name === root || name.startsWith(below)).sort();
  const parts = inside.flatMap(([path, file]) => {
    const name = base + path.slice(root.length === 1 ? 0 : root.length);
    if (name === "" || name === "/") return [];
    const relative = name.replace(/^\//, "");
    return [tarEntry({ ...file, name: file.type === "directory" ? `${relative}/` : relative })];
  });
  return joined([...parts, TAR_END]);
}

/** Unpacks an archive; answers why it cannot. */
export async function writeFiles(
  files: SimFiles,
  directory: string,
  tar: AsyncIterable<Uint8Array>,
): Promise<string | undefined> {
  const at = normal(directory);
  if (files.get(at)?.type !== "directory") return `no such directory: ${at}`;
  const made: [string, SimFile][] = [];
  try {
    for await (const { content, name, type, mode, target, mtimeSeconds = 0 } of readTar(tar)) {
      const pieces: Uint8Array[] = [];
      for await (const piece of content) pieces.push(piece.slice());
      if (type === "hard" || type === "other") continue;
      const path = normal(`${at}/${name}`);
      const isDirectory = (files.get(path)?.type ?? type) === "directory";
      if (isDirectory !== (type === "directory")) {
        return `cannot overwrite ${path}: one of both is a directory`;
      }
      const file = { type, mode, mtimeSeconds };
      if (type === "file") made.push([path, { ...file, data: joined(pieces) }]);
      else if (type === "link") made.push([path, { ...file, target: target ?? "" }]);
      else made.push([path, file]);
    }
  } catch (error) {
    if (error instanceof TarError) return error.message;
    throw error;
  }
  for (const [path, file] of made) files.set(path, file);
  return undefined;
}
