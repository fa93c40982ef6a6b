/**
 * A connection to a port of a container: at its own address, or where the port is bound.
 *
 * @module
 */
import { endpointOf, type ProberOptions } from "../probes/prober.ts";
import type { ContainerStatus, Outcome } from "../runtime.ts";
import { messageOf } from "../state_file.ts";
import { refused } from "./client.ts";

export async function dialContainer(
  container: ContainerStatus,
  port: number,
  { reach, signal }: {
    reach: Pick<ProberOptions, "direct" | "engineHost">;
    signal: AbortSignal;
  },
): Promise<Outcome<Deno.TcpConn>> {
  const endpoint = endpointOf(container, port, reach);
  if (!endpoint) {
    return refused(
      `port ${port} cannot be reached from the agent, which has no way to the container's ` +
        "network: add the port to the service",
    );
  }
  try {
    return { ok: true, value: await Deno.connect({ ...endpoint, transport: "tcp", signal }) };
  } catch (error) {
    return refused(`port ${port} of the task: ${messageOf(error)}`);
  }
}
