/**
 * Tunnel requests: a client waits on some replica for a node's agent to dial back. The row and the head
 * are one commit, so that a watch on the head sees every request.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { TunnelRequest } from "./schema/agent.ts";
import { type Kv, listRows } from "./store.ts";

export interface PendingTunnel extends TunnelRequest {
  nodeId: string;
}

/** Asks a node's agent to dial. */
export async function requestTunnel(kv: Kv, tunnel: PendingTunnel): Promise<void> {
  const { nodeId, ...row } = tunnel;
  await kv.atomic()
    .set(key.tunnel(nodeId, tunnel.sessionId), row)
    .set(key.tunnelHead(), tunnel.sessionId)
    .commit();
}

/** The agent dialled, or the client waits no more. */
export async function dropTunnel(
  kv: Kv,
  tunnel: Pick<PendingTunnel, "nodeId" | "sessionId">,
): Promise<void> {
  await kv.atomic().delete(key.tunnel(tunnel.nodeId, tunnel.sessionId))
    .set(key.tunnelHead(), tunnel.sessionId)
    .commit();
}

/** Every request that waits: as many as there are sessions being opened at this moment. */
export async function pendingTunnels(kv: Kv): Promise<PendingTunnel[]> {
  const pending: PendingTunnel[] = [];
  for await (const entry of listRows(kv, prefix.allTunnels(), TunnelRequest)) {
    pending.push({ ...entry.row, nodeId: String(entry.key[1]) });
  }
  return pending;
}
