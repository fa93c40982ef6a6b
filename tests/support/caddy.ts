/**
 * The machine's own Caddy (Debian's package) as an image, for tests that need the real one.
 *
 * @module
 */
import { ingressSpec, START_CONFIG } from "../../cli/ingress_spec.ts";
import type { Assignment } from "../../kv/schema/agent.ts";
import { INGRESS, INTERNAL_CA } from "../../kv/schema/ingress.ts";
import { ServiceSpec } from "../../kv/schema/service.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { IngressTask } from "../../worker/ingress/ingress.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { freePort } from "./traffic.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { importTar } from "../../worker/docker/offline_image.ts";
import { joined, TAR_END, tarEntry } from "../../kv/schema/tar.ts";
import { engineTest, exists, required } from "./engine.ts";

export const CADDY_IMAGE = "berth-test/caddy:1";
const CADDY = "/usr/bin/caddy";
const IMPORT_MS = 60_000;

const present = await exists(CADDY);

/** Defines a test that needs an engine and Caddy: ignored, or failing, as {@link engineTest} says. */
export function caddyTest(
  name: string,
  fn: (connection: EngineConnection, t: Deno.TestContext) => Promise<void>,
): void {
  if (present) return engineTest(name, fn);
  const reason = `no ${CADDY}: apt-get install caddy`;
  Deno.test({
    name: `${name} [needs Caddy: ${reason}]`,
    ignore: !required,
    fn() {
      throw new Error(`BERTH_REQUIRE_ENGINE=1, and ${reason}`);
    },
  });
}

let imported: Promise<void> | undefined;

/** Makes {@link CADDY_IMAGE} present on the machine's engine, once per process. */
export function ensureCaddyImage(connection: EngineConnection): Promise<void> {
  return imported ??= importCaddyImage(connection);
}

async function importCaddyImage(connection: EngineConnection): Promise<void> {
  const files = [CADDY, ...await librariesOf(CADDY)];
  const folder = (name: string, mode = 0o755) => tarEntry({ name, type: "directory", mode });
  const tar = joined([
    ...[folder("run/"), folder("data/"), folder("tmp/", 0o1777)],
    ...await Promise.all(files.map(async (path) =>
      tarEntry({
        name: path.replace(/^\//, ""),
        type: "file",
        mode: 0o755,
        data: await Deno.readFile(path),
      })
    )),
    TAR_END,
  ]);
  const client = connectEngine(connection);
  try {
    const signal = AbortSignal.timeout(IMPORT_MS);
    const changes = [`ENV PATH=/usr/bin`, `CMD ["caddy","run"]`];
    const made = await importTar(client.docker, { tag: CADDY_IMAGE, tar, changes }, signal);
    if (!made.ok) throw new Error(made.message);
  } finally {
    client.close();
  }
}

/** The shared libraries that it is loaded with, the loader among them. */
async function librariesOf(path: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [path] }).output();
  const paths = new TextDecoder().decode(stdout).matchAll(/(\/\S+) \(0x/g);
  return [...new Set(Array.from(paths, ([, library = ""]) => library))];
}

export interface RunningCaddy extends AsyncDisposable {
  runtime: Runtime;
  task: IngressTask;
  /** What the container has said. */
  log(): Promise<string>;
}

/** An ingress proxy as an agent would start it, told nothing yet. */
export async function startCaddy(
  connection: EngineConnection,
  { taskId, nodeId, ports = [freePort(), freePort()] }: {
    taskId: string;
    nodeId: string;
    ports?: [number, number];
  },
): Promise<RunningCaddy> {
  await ensureCaddyImage(connection);
  const runtime = createDockerRuntime({ connection, nodeId });
  const signal = AbortSignal.timeout(30_000);
  const [httpPort, httpsPort] = ports;
  const spec = ServiceSpec.parse(ingressSpec({
    ...{ nodes: [], image: CADDY_IMAGE, httpPort, httpsPort, acmeCa: INTERNAL_CA },
  }));
  const template = { ...spec.template, mounts: [], pullPolicy: "never" as const };
  const assignment: Assignment = {
    ...{ taskId, serviceId: taskId, service: spec.name, project: spec.project },
    ...{ slot: 1, revision: 1, desired: "run", template },
  };
  const data = new TextEncoder().encode(START_CONFIG);
  const file = {
    kind: "config" as const,
    path: INGRESS.configPath,
    data,
    uid: 0,
    gid: 0,
    mode: 0o444,
  };
  const created = await runtime.create(assignment, signal);
  if (!created.ok) throw new Error(created.message);
  const started = await runtime.start(taskId, signal, [file]);
  if (!started.ok) throw new Error(started.message);
  return {
    runtime,
    task: { taskId, attempt: 1, settings: { httpPort, httpsPort, acmeCa: INTERNAL_CA } },
    async log() {
      const logs = await runtime.logs(taskId, { follow: false, timestamps: false }, signal);
      let text = "";
      if (logs.ok) {
        for await (const { data } of logs.value) {
          text += new TextDecoder().decode(data);
        }
      }
      return text;
    },
    async [Symbol.asyncDispose]() {
      await runtime.remove(taskId, AbortSignal.timeout(30_000));
      await runtime.close();
    },
  };
}
