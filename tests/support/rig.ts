/**
 * A control plane and workers as real processes, with what tests keep asking of them; gone afterwards,
 * containers included.
 *
 * @module
 */
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { okValue } from "./api.ts";
import { ensureTestImage, TEST_IMAGE } from "./engine.ts";
import { eventually } from "./eventually.ts";
import { type ChildProcess, type ServerProcess, startServer, startWorker } from "./processes.ts";

export interface Rig {
  server: ServerProcess;
  workers: Map<string, ChildProcess>;
  dir: string;
  /** Of its services: no other test's, on an engine that several may share. */
  project: string;
  /** The tasks of the service that have not ended, by slot. */
  live(service: string): Promise<TaskView[]>;
  /** The name of the node of each of them. */
  places(service: string): Promise<(string | undefined)[]>;
  /** Creates a service; without a template its tasks sleep. */
  run(spec: Partial<ServiceSpecInput> & { name: string }): Promise<void>;
  /** Waits until the service has so many live tasks, all of them running. */
  running(service: string, count: number): Promise<void>;
  /** Starts the worker of that name again. */
  revive(name: string): Promise<void>;
}

export interface RigOptions {
  workers: string[];
  /** Silence after which a worker counts as down. */
  ttlMs: number;
  /** For the workers. */
  workerArgs?: string[];
  env?: Record<string, string>;
}

export const SLEEPER = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never",
  stopGraceMs: 0,
} satisfies ServiceSpecInput["template"];

const DELETE_MS = 15_000;
const CLEAR_MS = 60_000;

/** With `connection` undefined the workers' containers are simulated. */
export async function inRig(
  connection: EngineConnection | undefined,
  options: RigOptions,
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  const { ttlMs, workerArgs = [], env = {} } = options;
  const project = `rig-${crypto.randomUUID().slice(0, 8)}`;
  if (connection) await ensureTestImage(connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-rig-" });
  const args = [...workerArgs, ...(connection ? [] : ["--sim"])];
  const server = await startServer({
    dataDir: `${dir}/server`,
    args: ["--node-ttl-ms", String(ttlMs)],
  });
  const workers = new Map<string, ChildProcess>();
  const nodeIds = new Set<string>();
  const revive = async (name: string) => {
    workers.set(name, await startWorker(server, { name, stateDir: dir, args, env }));
    nodeIds.add(okValue(await server.client.getNode(name)).id);
  };
  const live = async (service: string) => {
    const tasks = okValue(await server.client.listTasks({ service, project })).items;
    return tasks.filter(({ state }) => !isTerminal(state));
  };
  try {
    for (const name of options.workers) await revive(name);
    await body({
      ...{ server, workers, dir, project, live, revive },
      places: async (service) => (await live(service)).map((task) => task.node),
      async run(spec) {
        okValue(await server.client.createService({ project, template: SLEEPER, ...spec }));
      },
      running: async (service, count) => {
        await eventually(async () => {
          const tasks = await live(service);
          return tasks.length === count && tasks.every((t) => t.state === "running");
        }, { timeoutMs: 30_000, what: `${count} running tasks of ${service}` });
      },
    });
  } finally {
    for (const child of [server, ...workers.values()]) child.signal("SIGCONT");
    await deleteServices(server);
    for (const worker of workers.values()) await worker.stop();
    await server.stop();
    if (connection) { for (const nodeId of nodeIds) await clearNode(connection, nodeId); }
    await Deno.remove(dir, { recursive: true });
  }
}

/** Asks for the end of everything, and waits for a while: what then is left is removed by force. */
async function deleteServices({ client }: ServerProcess): Promise<void> {
  const services = await client.listServices();
  for (const { id } of services.ok ? services.value.items : []) await client.deleteService(id);
  await eventually(async () => {
    const left = await client.listServices();
    return left.ok && left.value.items.length === 0;
  }, { timeoutMs: DELETE_MS }).catch(() => {});
}

/** Removes what a node's worker has left on the engine. */
async function clearNode(connection: EngineConnection, nodeId: string): Promise<void> {
  const runtime = createDockerRuntime({ connection, nodeId });
  const signal = AbortSignal.timeout(CLEAR_MS);
  try {
    const listed = await runtime.list(signal);
    const left = listed.ok ? listed.value : [];
    await Promise.all(left.map(({ taskId }) => runtime.remove(taskId, signal)));
  } finally {
    await runtime.close();
  }
}
