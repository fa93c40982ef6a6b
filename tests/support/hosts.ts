/**
 * Several hosts on one machine: each with a network, an engine and a worker of its own, on a switch with
 * the control plane, which runs in the root namespace. Hosts can be cut off and healed.
 *
 * Everything is removed at the end, and what a killed test left before the next bed is made.
 *
 * @module
 */
import { importTestImage, required } from "./engine.ts";
import { eventually } from "./eventually.ts";
import { cgroupOf, type Claim, claim, clear, nameOf } from "./hosts_claim.ts";
import { type HostNetwork, plugHosts, rootAddress } from "./hosts_network.ts";
import {
  type ChildProcess,
  launch,
  type ServerProcess,
  spawn,
  startServer,
  startWorker,
} from "./processes.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";

export interface Host extends HostNetwork {
  engine: EngineConnection & { kind: "socket" };
  /** The present worker. */
  worker(): ChildProcess;
  /** Starts a worker again, after the present one was stopped. */
  revive(args?: string[]): Promise<void>;
  /** As `revive`, also while the server is away: without waiting for the node to be ready. */
  relaunch(): void;
  /** Runs a command in the host's network, as somebody would who is logged in there. */
  run(...command: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
}

export interface HostsOptions {
  /** How many hosts; they are called h1, h2, … */
  count: number;
  nodeTtlMs?: number;
  /** Further arguments of the server and of all workers. */
  serverArgs?: string[];
  workerArgs?: string[];
  /** What else it lacks, if anything. */
  unless?: string | undefined;
}

export interface Hosts {
  server: ServerProcess;
  hosts: readonly Host[];
  /** The address at which hosts reach the machine that the server is on. */
  rootAddress: string;
}

const NEEDED = ["ip", "nsenter", "iptables", "umount", "dockerd", "containerd", "runc"];
const ENGINE_START_MS = 60_000;

/** Why no hosts can be made here. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "hosts are made by root on Linux";
  const dirs = (Deno.env.get("PATH") ?? "").split(":");
  for (const command of NEEDED) {
    const found = await Promise.all(
      dirs.map((d) => Deno.stat(`${d}/${command}`).catch(() => null)),
    );
    if (found.every((one) => one === null)) return `no ${command}`;
  }
  const { success } = await new Deno.Command("nsenter", {
    args: ["--net=/proc/self/ns/net", "true"],
  })
    .output();
  return success ? undefined : "network namespaces may not be entered";
}

const missing = await obstacle();

/** Defines a test on several hosts: ignored, with the reason in its name, where none can be made. */
export function hostsTest(
  name: string,
  options: HostsOptions,
  fn: (bed: Hosts) => Promise<void>,
): void {
  const lacking = missing ?? options.unless;
  if (lacking === undefined) {
    Deno.test(name, () => withHosts(options, fn));
    return;
  }
  Deno.test({
    name: `${name} [needs hosts of its own: ${lacking}]`,
    ignore: !required,
    fn() {
      throw new Error(`BERTH_REQUIRE_ENGINE=1, and ${lacking}`);
    },
  });
}

export async function withHosts(
  { count, nodeTtlMs, serverArgs = [], workerArgs = [] }: HostsOptions,
  body: (bed: Hosts) => Promise<void>,
): Promise<void> {
  const mine = await claim();
  const started: ChildProcess[] = [];
  const own = (child: ChildProcess) => {
    started.push(child);
    return child;
  };
  try {
    const names = Array.from({ length: count }, (_, i) => `h${i + 1}`);
    const networks = await plugHosts(mine, names);
    const ttl = nodeTtlMs === undefined ? [] : ["--node-ttl-ms", String(nodeTtlMs)];
    const [server, ...engines] = await Promise.all([
      startServer({
        dataDir: `${mine.dir}/server`,
        host: rootAddress(mine),
        args: [...ttl, ...serverArgs],
      }),
      ...networks.map((network) => startEngine(mine, network, own)),
    ]);
    own(server);
    const hosts = await Promise.all(networks.map((network, i) => {
      const connection = engines[i];
      if (!connection) throw new Error(`no engine on ${network.name}`);
      return createHost({ network, connection, server, dir: mine.dir, workerArgs, own });
    }));
    await body({ server, hosts, rootAddress: rootAddress(mine) });
  } finally {
    for (const child of started) child.signal("SIGKILL");
    await clear(mine);
    await Promise.all(started.map((child) => child.stop("SIGKILL")));
  }
}

async function startEngine(
  mine: Claim,
  { name, within }: HostNetwork,
  own: (child: ChildProcess) => ChildProcess,
): Promise<Host["engine"]> {
  const dir = `${mine.dir}/${name}`;
  await Deno.mkdir(dir);
  const path = `${dir}/docker.sock`;
  const dockerd = own(launch([
    ...within,
    ...["dockerd", "--host", `unix://${path}`, "--pidfile", `${dir}/pid`],
    ...["--data-root", `${dir}/data`, "--exec-root", `${dir}/exec`],
    ...["--cgroup-parent", `/${cgroupOf(mine)}/${name}`],
    // An engine joins a containerd of the machine's, if there is one, with all that is in it.
    ...["--containerd-namespace", nameOf(mine, name)],
    ...["--containerd-plugins-namespace", `${nameOf(mine, name)}-plugins`],
    ...["--log-level", "warn"],
  ]));
  const connection = { kind: "socket" as const, path, description: `unix://${path} (${name})` };
  await eventually(() => Deno.stat(path).then(() => true, () => dockerd.ended()), {
    timeoutMs: ENGINE_START_MS,
    what: () => `the engine of ${name} to start; it said: ${dockerd.log()}`,
  });
  if (dockerd.ended()) throw new Error(`the engine of ${name} ended: ${dockerd.log()}`);
  await importTestImage(connection);
  return connection;
}

async function createHost(
  { network, connection, server, dir, workerArgs, own }: {
    network: HostNetwork;
    connection: Host["engine"];
    server: ServerProcess;
    dir: string;
    workerArgs: string[];
    own: (child: ChildProcess) => ChildProcess;
  },
): Promise<Host> {
  const { name, within } = network;
  const env = { DOCKER_HOST: `unix://${connection.path}` };
  const stateDir = `${dir}/state`;
  const start = async (args: string[] = []) =>
    own(
      await startWorker(server, {
        name,
        stateDir,
        args: [...workerArgs, ...args],
        within,
        env,
      }),
    );
  let worker = await start();
  return {
    ...network,
    engine: connection,
    worker: () => worker,
    async revive(args) {
      worker = await start(args);
    },
    relaunch() {
      const args = ["--server", server.url, "--name", name, "--state-dir", `${stateDir}/${name}`];
      worker = own(spawn("worker", [...args, ...workerArgs], { within, env }));
    },
    async run(...command) {
      const [first = "", ...args] = [...within, ...command];
      const { code, stdout, stderr } = await new Deno.Command(first, { args }).output();
      const decoder = new TextDecoder();
      return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
    },
  };
}
