/**
 * Has the machine's kernel pass connections that wait at a closing listener on to another one of the same
 * port (net.ipv4.tcp_migrate_req, Linux 5.14), instead of resetting them. Caddy opens each of its ports
 * anew with each configuration; this is what makes that lossless.
 *
 * @module
 */
import type { Outcome } from "../runtime.ts";
import type { Engine } from "./client.ts";
import { runOnMachine } from "./machine.ts";

const SCRIPT = `
if [ ! -e "$0" ]; then echo "this kernel has no $0" >&2; exit 3; fi
read -r now < "$0"
if [ "$now" = 0 ]; then echo 1 > "$0"; fi
`;

export async function migrateConnections(
  docker: Engine,
  nodeId: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const args = ["/proc/sys/net/ipv4/tcp_migrate_req"];
  const script = { nodeId, what: "migrate", script: SCRIPT, args, settings: true };
  return await runOnMachine(docker, script, signal);
}
