/**
 * The ingress of a node with a real engine, put together.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Agent } from "../agent.ts";
import type { Log } from "../log.ts";
import type { Runtime } from "../runtime.ts";
import { createCaddyAdmin } from "./admin.ts";
import { createCertificates } from "./certificates.ts";
import { createIngress, type Ingress, type IngressDeps, ingressTasks } from "./ingress.ts";
import { createLoadedStore } from "./loaded.ts";

/** What lives as long as the agent. */
export interface IngressNode {
  nodeId: string;
  runtime: Pick<Runtime, "exec" | "migrateConnections">;
  client: Pick<Client, "certificate">;
  agent: Pick<Agent, "assignments" | "rows">;
  /** Called with the ports that a proxy cannot listen on, whenever that changes. */
  onProblems: IngressDeps["onProblems"];
}

export function createNodeIngress(
  { stateDir, log, ...deps }: {
    stateDir: string;
    clock: Clock;
    random: () => number;
    log: Log;
  },
  { nodeId, runtime, client, agent, onProblems }: IngressNode,
): Ingress {
  return createIngress({
    ...{ ...deps, log },
    admin: createCaddyAdmin(runtime),
    migrateConnections: (signal) =>
      runtime.migrateConnections?.(signal) ?? Promise.resolve({ ok: true, value: undefined }),
    certificates: createCertificates({ client, nodeId, log }),
    store: createLoadedStore(stateDir, log),
    onProblems,
    tasks: () => ingressTasks(agent.assignments(), agent.rows()),
  });
}
