/**
 * Who leads, as far as this process can tell.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import { LeaderBeat } from "../kv/schema/control.ts";
import { getRow } from "../kv/store.ts";
import type { ApiDeps, LeaderInfo } from "./deps.ts";

/** This process if it leads, or else who the database says did last; `undefined` before the first. */
export async function leaderOf(
  deps: Pick<ApiDeps, "kv" | "leader">,
): Promise<LeaderInfo | undefined> {
  const known = deps.leader();
  if (known.epoch > 0) return known;
  const beat = await getRow(deps.kv, key.leaderBeat(), LeaderBeat);
  return beat && { epoch: beat.row.epoch, self: false };
}
