/**
 * What users decided about a node, as far as its agent is told with every poll.
 *
 * @module
 */
import { key } from "./keys.ts";
import { enqueue } from "./queue.ts";
import { findNode } from "./node_reads.ts";
import { done, type Outcome, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import { Id } from "./schema/common.ts";
import { NodeSpec } from "./schema/node.ts";
import { getRow, type Kv } from "./store.ts";

export interface NodeSettings {
  ttlMs?: number;
  /** The id of a restart that the agent has not carried out yet. */
  restart?: string;
}

/** The limit of a pool of nodes would be read here, for nodes without one of their own. */
export async function readNodeSettings(kv: Kv, nodeId: string): Promise<NodeSettings> {
  const [spec, restart] = await Promise.all([
    getRow(kv, key.nodeSpec(nodeId), NodeSpec),
    getRow(kv, key.nodeRestart(nodeId), Id),
  ]);
  const ttlMs = spec?.row.ttlMs;
  return {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(restart ? { restart: restart.row } : {}),
  };
}

/** Asks a node's agent to restart; asking again before it did changes nothing. */
export async function requestRestart(
  deps: { kv: Kv; newId: () => string },
  ref: string,
): Promise<Outcome<undefined>> {
  const found = await findNode(deps.kv, ref);
  if (!found.ok) return found;
  const { id } = found.value;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const [asked, spec] = await deps.kv.getMany([key.nodeRestart(id), key.nodeSpec(id)]);
    if (asked.versionstamp !== null || spec.versionstamp === null) return done(undefined);
    // The spec goes with its node: one that is removed meanwhile gets no request that nobody clears away.
    const op = deps.kv.atomic().check(asked).check(spec).set(key.nodeRestart(id), deps.newId());
    if ((await enqueue(op, { kind: "node", id }, deps.newId).commit()).ok) return done(undefined);
  }
  return tooManyConflicts(`node ${ref}`);
}

/** The agent is about to restart: that request is done with. */
export async function dropRestart(kv: Kv, nodeId: string, restart: string): Promise<void> {
  const asked = await kv.get(key.nodeRestart(nodeId));
  if (asked.value !== restart) return;
  await kv.atomic().check(asked).delete(key.nodeRestart(nodeId)).commit();
}
