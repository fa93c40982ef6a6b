/**
 * Packs a file or a directory of this machine as a tar, piece by piece, as `docker cp` does: links as
 * links, owned by root unless `keepOwners`.
 *
 * @module
 */
import { TAR_END, type TarEntry, tarHeader, tarPadding } from "../../kv/schema/tar.ts";

const PIECE_BYTES = 64 * 1024;

/** What was packed cannot be read, or changed while it was. */
export class PackError extends Error {}

export interface Packing {
  /** The name that the root has in the archive; empty: what is in the directory, without itself. */
  name: string;
  /** Of a root that is a link, what it leads to. */
  follow: boolean;
  keepOwners?: boolean;
}

export async function* pack(
  path: string,
  packing: Packing,
): AsyncGenerator<Uint8Array> {
  yield* packOne(path, packing);
  yield TAR_END;
}

async function* packOne(
  path: string,
  { name, follow, keepOwners = false }: Packing,
): AsyncGenerator<Uint8Array> {
  const info = await (follow ? Deno.stat(path) : Deno.lstat(path));
  const common = {
    mode: (info.mode ?? 0o644) & 0o7777,
    mtimeSeconds: (info.mtime?.getTime() ?? 0) / 1000,
    ...(keepOwners ? { uid: info.uid ?? 0, gid: info.gid ?? 0 } : {}),
  };
  if (info.isSymlink) {
    yield tarHeader({ ...common, name, type: "link", target: await Deno.readLink(path) }, 0);
  } else if (info.isDirectory) {
    if (name !== "") yield tarHeader({ ...common, name: `${name}/`, type: "directory" }, 0);
    const entries: string[] = [];
    for await (const entry of Deno.readDir(path)) entries.push(entry.name);
    for (const entry of entries.sort()) {
      const inner = name === "" ? entry : `${name}/${entry}`;
      yield* packOne(`${path}/${entry}`, { name: inner, follow: false, keepOwners });
    }
  } else if (info.isFile) yield* packFile(path, { ...common, name, type: "file" }, info.size);
}

async function* packFile(
  path: string,
  entry: Omit<TarEntry, "data">,
  size: number,
): AsyncGenerator<Uint8Array> {
  const file = await Deno.open(path);
  try {
    yield tarHeader(entry, size);
    for (let left = size; left > 0;) {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, left));
      const count = await file.read(piece);
      if (count === null) throw new PackError(`${path} became shorter while it was read`);
      left -= count;
      yield piece.subarray(0, count);
    }
    yield tarPadding(size);
  } finally {
    file.close();
  }
}
