/**
 * The disk that holds the engine's data, when the engine is on this machine.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import type { EngineConnection } from "./connect.ts";

/** Its size in MiB; undefined when the engine is elsewhere or nobody may look. */
export async function diskOf(
  connection: EngineConnection,
  rootDir: string | undefined,
): Promise<number | undefined> {
  if (connection.kind !== "socket" || rootDir === undefined) return undefined;
  try {
    const { blocks, bsize } = await statfs(rootDir);
    return Math.floor(blocks * bsize / 1024 / 1024);
  } catch {
    return undefined;
  }
}
