/**
 * A control plane and workers as real processes, with what tests keep asking of them; gone afterwards,
 * containers included.
 *
 * @module
 */
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { NodeSpecInput } from "../../kv/schema/node.ts";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { okValue } from "./api.ts";
import { ensureTestImage, TEST_IMAGE } from "./engine.ts";
import { eventually } from "./eventually.ts";
import { type ChildProcess, type ServerProcess, startServer, startWorker } from "./processes.ts";

type TemplateInput = ServiceSpecInput["template"];
export type SpecInput = Omit<Partial<ServiceSpecInput>, "template"> & {
  name: string;
  template?: Partial<TemplateInput>;
};

export interface Rig {
  server: ServerProcess;
  workers: Map<string, ChildProcess>;
  dir: string;
  /** Of its services: no other test's, on an engine that several may share. */
  project: string;
  /** Whole specs, of services of this project whose tasks sleep unless told otherwise. */
  spec(input: SpecInput): ServiceSpecInput;
  run(input: SpecInput): Promise<ServiceView>;
  put(input: SpecInput): Promise<ServiceView>;
  view(service: string): Promise<ServiceView>;
  /** Removes services, and waits until they are gone. */
  remove(...services: string[]): Promise<void>;
  /** The tasks of the service that are remembered, and those that have not ended, by slot. */
  history(service: string): Promise<TaskView[]>;
  live(service: string): Promise<TaskView[]>;
  /** The name of the node of each of the latter. */
  places(service: string): Promise<(string | undefined)[]>;
  /** Waits until the service has so many live tasks, all of them running; answers them. */
  running(service: string, count: number): Promise<TaskView[]>;
  until<T>(what: string, condition: () => T | Promise<T>): Promise<Exclude<NonNullable<T>, false>>;
  setNode(node: string, spec: NodeSpecInput): Promise<void>;
  /** Starts the worker of that name again. */
  revive(name: string): Promise<void>;
  /** Ends the server at once; what it knew is in its database. */
  killServer(): Promise<void>;
  reviveServer(): Promise<void>;
}

export interface RigOptions {
  /** Their names, or by name what arguments each one has. */
  workers: string[] | Record<string, string[]>;
  /** Silence after which a worker counts as down; the server's default when absent. */
  ttlMs?: number;
  serverArgs?: string[];
  /** For the workers. */
  workerArgs?: string[];
  env?: Record<string, string>;
}

export const SLEEPER = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never",
  stopGraceMs: 0,
} satisfies TemplateInput;

const PATIENCE_MS = 60_000;
const DELETE_MS = 15_000;
const CLEAR_MS = 60_000;

/** With `connection` undefined the workers' containers are simulated. */
export async function inRig(
  connection: EngineConnection | undefined,
  options: RigOptions,
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  const { workers, ttlMs, serverArgs = [], workerArgs = [], env = {} } = options;
  if (connection) await ensureTestImage(connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-rig-" });
  const args = [...serverArgs, ...ttlMs === undefined ? [] : ["--node-ttl-ms", String(ttlMs)]];
  const server = await startServer({ dataDir: `${dir}/server`, args });
  const nodeIds = new Set<string>();
  const rig: Rig = {
    ...askings(() => rig.server),
    ...{ server, dir, workers: new Map() },
    async revive(name) {
      const own = Array.isArray(workers) ? [] : workers[name] ?? [];
      const all = [...workerArgs, ...own, ...connection ? [] : ["--sim"]];
      const started = await startWorker(rig.server, { name, stateDir: dir, args: all, env });
      rig.workers.set(name, started);
      nodeIds.add(okValue(await rig.server.client.getNode(name)).id);
    },
    killServer: async () => void await rig.server.stop("SIGKILL"),
    async reviveServer() {
      const port = Number(new URL(rig.server.url).port);
      rig.server = await startServer({ dataDir: `${dir}/server`, port, args });
    },
  };
  try {
    const names = Array.isArray(workers) ? workers : Object.keys(workers);
    await Promise.all(names.map((name) => rig.revive(name)));
    await body(rig);
  } finally {
    if (rig.server.ended()) await rig.reviveServer();
    for (const child of [rig.server, ...rig.workers.values()]) child.signal("SIGCONT");
    await deleteServices(rig.server);
    for (const worker of rig.workers.values()) await worker.stop();
    await rig.server.stop();
    if (connection) { for (const nodeId of nodeIds) await clearNode(connection, nodeId); }
    await Deno.remove(dir, { recursive: true });
  }
}

type Askings = Omit<
  Rig,
  "server" | "dir" | "workers" | "revive" | "killServer" | "reviveServer"
>;

/** What is asked of the server of the moment. */
function askings(server: () => ServerProcess): Askings {
  const project = `rig-${crypto.randomUUID().slice(0, 8)}`;
  const client = () => server().client;
  const self: Askings = {
    project,
    spec: ({ template, ...spec }) => ({ project, ...spec, template: { ...SLEEPER, ...template } }),
    run: async (input) => okValue(await client().createService(self.spec(input))),
    put: async (input) => okValue(await client().putService(input.name, self.spec(input))),
    view: async (service) => okValue(await client().getService(service, project)),
    async remove(...services) {
      for (const service of services) await client().deleteService(service, project);
      await self.until(`${services} to be gone`, async () => {
        const { items } = okValue(await client().listServices({ project, limit: 200 }));
        return !items.some(({ name }) => services.includes(name));
      });
    },
    async history(service) {
      const { items } = okValue(await client().listTasks({ service, project, limit: 200 }));
      return items.sort((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1));
    },
    live: async (service) =>
      (await self.history(service)).filter(({ state }) => !isTerminal(state)),
    places: async (service) => (await self.live(service)).map((task) => task.node),
    async running(service, count) {
      let last: TaskView[] = [];
      return await eventually(async () => {
        last = await self.live(service);
        return last.length === count && last.every((t) => t.state === "running") && last;
      }, {
        timeoutMs: PATIENCE_MS,
        what: () =>
          `${count} running tasks of ${service}: ${last.map((t) => `${t.state} ${t.why ?? ""}`)}`,
      });
    },
    until: (what, condition) => eventually(condition, { timeoutMs: PATIENCE_MS, what }),
    setNode: async (node, spec) => void okValue(await client().putNodeSpec(node, spec)),
  };
  return self;
}

/** Runs steps side by side, each on services of its own; the first failure is that of the test. */
export async function sideBySide(
  t: Deno.TestContext,
  steps: Record<string, () => Promise<void>>,
): Promise<void> {
  await Promise.all(
    Object.entries(steps).map(([name, fn]) =>
      // The test around them looks after what is left open.
      t.step({ name, fn, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false })
    ),
  );
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
export async function clearNode(connection: EngineConnection, nodeId: string): Promise<void> {
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
