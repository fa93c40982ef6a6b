/**
 * Makes the machine take every address of a network for its own, so that the agent can listen on them
 * without giving an interface thousands of addresses.
 *
 * @module
 */
import type { Outcome } from "../runtime.ts";
import type { Engine } from "./client.ts";
import { runOnMachine } from "./machine.ts";

/** Refuses to take addresses that the machine reaches elsewhere. */
const SCRIPT = `
others=$(ip route show root "$0") || exit
if [ -n "$others" ]; then echo "$0 is in use: $others" >&2; exit 3; fi
ip route replace local "$0" dev lo
`;

/** `network` is in CIDR notation. */
export async function routeToMachine(
  docker: Engine,
  { network, nodeId }: { network: string; nodeId: string },
  signal: AbortSignal,
): Promise<Outcome> {
  const script = { nodeId, what: "route", script: SCRIPT, args: [network] };
  return await runOnMachine(docker, script, signal);
}
