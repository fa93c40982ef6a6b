/**
 * A whole cluster on this machine: a server and some workers as child processes.
 *
 * Invariants:
 * 1. Whatever fails on the way up, everything that was started is stopped before the failure is
 *    reported.
 * 2. Workers stop before the server, so that their last reports arrive.
 * 3. Tokens travel in files and in the environment, never in arguments that others can list.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import type { Deps } from "../deps.ts";
import { waitUntil } from "../wait.ts";
import { type Child, startChild, tailOf } from "./child.ts";

export interface ClusterOptions {
  /** The checkout. */
  root: string;
  /** Where everything is kept: database, identities, logs. */
  dir: string;
  /** Nodes are called `<prefix>-1`, `<prefix>-2`, … */
  prefix: string;
  workers: number;
  sim: boolean;
  /** A playground of so many simulated nodes, in one more process. */
  simNodes?: number;
  /** Shared by all workers. */
  cpus: number;
  memoryMiB: number;
  /** The port to prefer; 7070 if absent. */
  port?: number;
  onNews: (line: string) => void;
}

type ClusterDeps = Pick<Deps, "clock" | "connect">;

export interface LocalCluster {
  url: string;
  token: string;
  client: Client;
  workers: Child[];
  /** Resolves, with what happened, when a part could not be kept running. */
  broken: Promise<string>;
  stop(): Promise<void>;
}

export type Started = { ok: true; cluster: LocalCluster } | { ok: false; message: string };

const UP_TIMEOUT_MS = 30_000;
const DEFAULT_PORT = 7070;

export async function startCluster(deps: ClusterDeps, options: ClusterOptions): Promise<Started> {
  const { dir, root } = options;
  const serverDir = `${dir}/server`;
  await Deno.mkdir(`${dir}/logs`, { recursive: true, mode: 0o700 });
  const preferred = options.port ?? DEFAULT_PORT;
  const broken = Promise.withResolvers<string>();
  const children: Child[] = [];
  const start = (
    name: string,
    args: string[],
    { env = {}, onBroken = broken.resolve }: {
      env?: Record<string, string>;
      onBroken?: (what: string) => void;
    } = {},
  ) => {
    const logPath = `${dir}/logs/${name}.log`;
    const child = startChild({
      ...{ name, args: ["run", "-q", ...args], env, cwd: root, logPath, clock: deps.clock },
      onExit({ code, again }) {
        if (again) options.onNews(`${name} ended with code ${code}: starting it again.`);
        else onBroken(`${name} keeps ending with code ${code}; its log is ${logPath}`);
      },
    });
    children.unshift(child); // Invariant 2
    return child;
  };
  const stop = async () => {
    const [server] = children.slice(-1);
    await Promise.all(children.filter((child) => child !== server).map((child) => child.stop()));
    await server?.stop();
  };
  const giveUp = async (message: string, child?: Child): Promise<Started> => {
    await stop(); // Invariant 1
    const tail = child ? await tailOf(child.logPath, 5) : "";
    return { ok: false, message: tail === "" ? message : `${message}\n${tail}` };
  };

  const startServer = async (port: number) => {
    if (preferred !== 0 && port !== preferred) {
      options.onNews(`Port ${preferred} is taken: using ${port}.`);
    }
    const failed = Promise.withResolvers<string>();
    const server = start("server", [
      "--v8-flags=--no-memory-reducer",
      "-P=server",
      "main.ts",
      ...["--listen", `127.0.0.1:${port}`, "--data", serverDir],
      ...(options.simNodes === undefined ? [] : ["--playground"]),
    ], { onBroken: failed.resolve });
    const url = `http://127.0.0.1:${port}`;
    const up = await serverUp(deps, url, `${serverDir}/admin-token`, server);
    if (up.ok) void failed.promise.then(broken.resolve);
    return { server, url, up };
  };
  let begun = await startServer(freePort(preferred));
  if (!begun.up.ok && /Address already in use/.test(await tailOf(begun.server.logPath, 1))) {
    // Somebody else took the port between the look at it and the server's start.
    await stop();
    children.length = 0;
    begun = await startServer(freePort(0));
  }
  const { server, url, up } = begun;
  if (!up.ok) return await giveUp("the server did not start", server);
  const { client, token } = up;
  const join = await client.createJoinToken();
  if (!join.ok) return await giveUp("the server gave no join token", server);
  const share = (total: number) => total / options.workers;
  const workers: Child[] = [];
  for (let index = 1; index <= options.workers; index++) {
    const name = `${options.prefix}-${index}`;
    workers.push(start(name, [
      "--v8-flags=--max-semi-space-size=1,--no-memory-reducer",
      "-P=worker",
      `--allow-run=${Deno.execPath()}`, // For the guard of strict singletons.
      "worker/main.ts",
      "--supervised",
      ...["--server", url, "--name", name, "--advertise", "127.0.0.1"],
      ...["--state-dir", `${dir}/${name}`],
      ...["--cpus", (Math.floor(share(options.cpus) * 100) / 100).toString()],
      ...["--memory", Math.floor(share(options.memoryMiB)).toString()],
      ...(options.sim ? ["--sim"] : []),
    ], { env: { BERTH_JOIN_TOKEN: join.value.token } })); // Invariant 3
  }
  if (options.simNodes !== undefined) {
    start("playground", [
      "-P=worker",
      "worker/main.ts",
      ...["--server", url, "--advertise", "127.0.0.1", "--state-dir", `${dir}/playground`],
      ...["--sim", String(options.simNodes)],
    ], { env: { BERTH_JOIN_TOKEN: join.value.token } }); // Invariant 3
  }
  const ready = await waitUntil(
    () => client.listNodes({ limit: 500 }),
    (page) => {
      const names = workers.map((worker) => worker.name);
      const up = page.items.filter((node) =>
        names.includes(node.name) && node.status.state === "ready"
      );
      return up.length === names.length || undefined;
    },
    { clock: deps.clock, timeoutMs: UP_TIMEOUT_MS, signal: signalOf(broken.promise) },
  );
  if (ready.kind !== "done") return await giveUp("the workers did not become ready", workers[0]);
  return { ok: true, cluster: { url, token, client, workers, broken: broken.promise, stop } };
}

/** Waits until the server answers to the token that it wrote. */
async function serverUp(
  deps: ClusterDeps,
  url: string,
  tokenPath: string,
  server: Child,
): Promise<{ ok: true; client: Client; token: string } | { ok: false }> {
  const answered = await waitUntil(
    async () => {
      const token = (await Deno.readTextFile(tokenPath).catch(() => "")).trim();
      if (token === "") return { ok: true as const, value: undefined };
      const client = await deps.connect({ server: url, token });
      const cluster = await client.cluster();
      return { ok: true as const, value: cluster.ok ? { client, token } : undefined };
    },
    (value) => value,
    { clock: deps.clock, timeoutMs: UP_TIMEOUT_MS, signal: signalOf(server.ended) },
  );
  return answered.kind === "done" ? { ok: true, ...answered.value } : { ok: false };
}

/** Aborts when the promise is done. */
function signalOf(promise: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  promise.finally(() => controller.abort());
  return controller.signal;
}

/** The preferred port, or a free one if it is taken. */
function freePort(preferred: number): number {
  for (const port of [preferred, 0]) {
    try {
      const listener = Deno.listen({ hostname: "127.0.0.1", port });
      const { port: found } = listener.addr;
      listener.close();
      return found;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  return preferred;
}
