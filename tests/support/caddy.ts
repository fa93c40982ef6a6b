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
/** Another one, of version 2.7 or later: it can do what Debian's cannot. */
const NEWER_CADDY = Deno.env.get("BERTH_TEST_NEWER_CADDY") || undefined;
const IMPORT_MS = 60_000;

/** Why there is no Caddy. */
export const missingCaddy = await exists(CADDY) ? undefined : `no ${CADDY}: apt-get install caddy`;

export interface CaddyKind {
  /** For the names of tests. */
  name: string;
  path: string;
  image: string;
  /** It knows what Caddy knows since 2.7. */
  recent: boolean;
}

const DEBIAN: CaddyKind = {
  ...{ name: "Debian's Caddy", path: CADDY, image: CADDY_IMAGE, recent: false },
};
/** Those to test with. */
export const CADDY_KINDS: readonly CaddyKind[] = [
  DEBIAN,
  ...(NEWER_CADDY === undefined ? [] : [{
    ...{ name: "a newer Caddy", path: NEWER_CADDY, image: "berth-test/caddy:newer", recent: true },
  }]),
];

/**
 * Defines a test that needs an engine and Caddy: ignored, or failing, as {@link engineTest} says.
 * `unless` says what else it lacks, if anything.
 */
export function caddyTest(
  name: string,
  fn: (connection: EngineConnection, t: Deno.TestContext) => Promise<void>,
  { unless }: { unless?: string | undefined } = {},
): void {
  const missing = missingCaddy ?? unless;
  if (missing === undefined) return engineTest(name, fn);
  Deno.test({
    name: `${name} [needs Caddy and its like: ${missing}]`,
    ignore: !required,
    fn() {
      throw new Error(`BERTH_REQUIRE_ENGINE=1, and ${missing}`);
    },
  });
}

const imported = new Map<string, Promise<void>>();

/** Makes {@link CADDY_IMAGE}, or that of another kind, present on the engine, once per process. */
export function ensureCaddyImage(connection: EngineConnection, kind = DEBIAN): Promise<void> {
  const name = `${connection.description} ${kind.image}`;
  const known = imported.get(name) ?? importCaddyImage(connection, kind);
  imported.set(name, known);
  return known;
}

async function importCaddyImage(
  connection: EngineConnection,
  { path: caddy, image: tag }: CaddyKind,
): Promise<void> {
  const files = [
    [caddy, CADDY] as const,
    ...(await librariesOf(caddy)).map((f) => [f, f] as const),
  ];
  const folder = (name: string, mode = 0o755) => tarEntry({ name, type: "directory", mode });
  const tar = joined([
    ...[folder("run/"), folder("data/"), folder("tmp/", 0o1777)],
    ...await Promise.all(files.map(async ([path, name]) =>
      tarEntry({
        name: name.replace(/^\//, ""),
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
    const made = await importTar(client.docker, { tag, tar, changes }, signal);
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
  { taskId, nodeId, kind = DEBIAN }: { taskId: string; nodeId: string; kind?: CaddyKind },
): Promise<RunningCaddy> {
  await ensureCaddyImage(connection, kind);
  const runtime = createDockerRuntime({ connection, nodeId });
  const signal = AbortSignal.timeout(30_000);
  const [httpPort, httpsPort] = [freePort(), freePort()];
  const spec = ServiceSpec.parse(ingressSpec({
    ...{ nodes: [], image: kind.image, httpPort, httpsPort, acmeCa: INTERNAL_CA },
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
