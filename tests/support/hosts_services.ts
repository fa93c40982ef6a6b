/**
 * Services on a bed of hosts: what the tests of several hosts share.
 *
 * @module
 */
import { assert } from "@std/assert";
import { ExecOptions } from "../../kv/schema/agent.ts";
import type { RouteInput } from "../../kv/schema/route.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { ok, text } from "../contract/runtime_bench.ts";
import { TEST_IMAGE } from "./engine.ts";
import { eventually } from "./eventually.ts";
import type { Hosts } from "./hosts.ts";
import type { ServerProcess } from "./processes.ts";

const EXEC_MS = 30_000;
const LIVE = ["pending", "assigned", "preparing", "starting", "running"];

type Template = Partial<ServiceSpecInput["template"]>;

/** Creates a service that does nothing but run, unless the template says more. */
export async function runService(
  { client }: ServerProcess,
  spec: Omit<ServiceSpecInput, "template">,
  template: Template = {},
): Promise<void> {
  const made = await client.createService({
    ...spec,
    template: {
      image: TEST_IMAGE,
      command: ["sleep", "3600"],
      pullPolicy: "never",
      stopGraceMs: 0,
      ...template,
    },
  });
  assert(made.ok, JSON.stringify(made));
}

/** Where tasks of {@link serving} answer. */
export const SERVING_PORT = 8080;

/** A service of project shop, unless it says `name.project`, whose tasks answer with its name. */
export async function serving(
  { server }: Pick<Hosts, "server">,
  fullName: string,
  { replicas = 1, where = [], routes = [], ...template }: Template & {
    replicas?: number;
    /** Constraints of its tasks' nodes, like `== h1`. */
    where?: string[];
    routes?: RouteInput[];
  } = {},
): Promise<void> {
  const [name = "", project = "shop"] = fullName.split(".");
  const serve = `mkdir /w; echo ${name}.${project} $HOSTNAME > /w/index.html; ` +
    `exec httpd -f -p ${SERVING_PORT} -h /w`;
  const mode = { type: "replicated" as const, replicas };
  await runService(server, { name, project, mode, routes }, {
    command: ["sh", "-c", serve],
    ports: [{ target: SERVING_PORT }],
    placement: { constraints: where.map((rule) => `node.name ${rule}`) },
    ...template,
  });
  await settled(server, `${project}/${name}`, replicas);
}

/** The live tasks of a service, given as `name` or `project/name`. */
export async function liveTasks({ client }: ServerProcess, service: string) {
  const [name = "", project] = service.split("/").reverse();
  const listed = await client.listTasks({ service: name, ...(project ? { project } : {}) });
  assert(listed.ok, JSON.stringify(listed));
  return listed.value.items.filter(({ state }) => LIVE.includes(state));
}

/** The names of the nodes of the service's live tasks, sorted. */
export async function places(server: ServerProcess, service: string): Promise<string[]> {
  return (await liveTasks(server, service)).map(({ node }) => node ?? "?").sort();
}

/** Waits until so many of its tasks run and no others are live; `where` narrows their nodes. */
export async function settled(
  server: ServerProcess,
  service: string,
  count: number,
  where: (node: string) => boolean = () => true,
): Promise<void> {
  await eventually(async () => {
    const tasks = await liveTasks(server, service);
    return tasks.length === count &&
      tasks.every(({ state, node = "" }) => state === "running" && where(node));
  }, { timeoutMs: 60_000, what: `${count} running tasks of ${service}` });
}

/** Runs a command in a container. It needs its host's engine, and nothing else. */
export type Run = (...command: string[]) => Promise<{ code: number; said: string }>;

/** Gives the body a way into the container of the service's first task. */
export async function within(
  { server, hosts }: Hosts,
  service: string,
  body: (run: Run) => Promise<void>,
): Promise<void> {
  const [task] = await liveTasks(server, service);
  assert(task?.nodeId !== undefined, `${service} has no task`);
  const { id, nodeId } = task;
  const host = hosts.find(({ name }) => name === task.node);
  assert(host, `no host ${task.node}`);
  const runtime = createDockerRuntime({ connection: host.engine, nodeId });
  try {
    await body(async (...command) => {
      const options = ExecOptions.parse({ command });
      const session = ok(await runtime.exec(id, options, AbortSignal.timeout(EXEC_MS)));
      try {
        const { stdout, stderr } = await text(session.output);
        return { code: await session.exitCode(), said: stdout + stderr };
      } finally {
        await session.close();
      }
    });
  } finally {
    await runtime.close();
  }
}
