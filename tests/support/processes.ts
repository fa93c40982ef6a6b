/**
 * Real control planes and workers as child processes, for end-to-end tests and benchmarks.
 *
 * @module
 */
import { type Client, createClient } from "../../api/client.ts";
import { eventually } from "./eventually.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface ChildProcess {
  pid: number;
  /** Everything that it wrote to standard error so far. */
  log(): string;
  ended(): boolean;
  signal(name: Deno.Signal): void;
  /** Sends SIGTERM (or another signal) and waits for the end; answers the exit code. */
  stop(name?: Deno.Signal): Promise<number>;
}

export interface ServerProcess extends ChildProcess {
  url: string;
  token: string;
  client: Client;
}

/**
 * As in deno.json's tasks. A small young generation keeps an idle worker's memory down; V8's memory reducer
 * would collect garbage again and again in processes that do next to nothing.
 */
const FLAGS = {
  server: ["--v8-flags=--no-memory-reducer"],
  worker: [
    "--v8-flags=--max-semi-space-size=1,--no-memory-reducer",
    `--allow-run=${Deno.execPath()}`,
  ],
};

/** Starts `deno task`'s command of that permission set, without the task runner in between. */
export function spawn(
  set: "server" | "worker",
  args: string[],
  { within = [], env = {} }: { within?: readonly string[]; env?: Record<string, string> } = {},
): ChildProcess {
  const script = set === "server" ? "main.ts" : "worker/main.ts";
  const deno = [Deno.execPath(), "run", "--quiet", ...FLAGS[set], `-P=${set}`, script];
  return launch([...within, ...deno, ...args], env);
}

/** Starts a command, and gathers what it says. */
export function launch(
  [command = "", ...args]: readonly string[],
  env: Record<string, string> = {},
): ChildProcess {
  const child = new Deno.Command(command, {
    args,
    env,
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let log = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) log += text;
  };
  const reading = Promise.all([collect(child.stdout), collect(child.stderr)]);
  let ended = false;
  const status = child.status.then((s) => {
    ended = true;
    return s;
  });
  const signal = (name: Deno.Signal) => {
    if (ended) return;
    try {
      child.kill(name);
    } catch (error) {
      // It ended a moment ago, and its status is on the way.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  return {
    pid: child.pid,
    log: () => log,
    ended: () => ended,
    signal,
    async stop(name = "SIGTERM") {
      signal(name);
      const { code } = await status;
      await reading;
      return code;
    },
  };
}

/** A control plane on a free port, answering. Its data stay in `dataDir`. */
export async function startServer(
  options: { dataDir: string; host?: string; port?: number; args?: string[] },
): Promise<ServerProcess> {
  const { dataDir, host = "127.0.0.1", port = 0, args = [] } = options;
  const child = spawn("server", ["--listen", `${host}:${port}`, "--data", dataDir, ...args]);
  const bound = await eventually(() => /"listening".*?"port":(\d+)/.exec(child.log())?.[1], {
    timeoutMs: 30_000,
    what: () => `the server to listen; it said: ${child.log()}`,
  });
  const token = await eventually(() => readText(`${dataDir}/admin-token`), {
    what: "the admin token",
  });
  const url = `http://${host}:${bound}`;
  return { ...child, url, token, client: createClient({ url, token }) };
}

/** A worker that has joined `server` and is ready. */
export async function startWorker(
  server: ServerProcess,
  options: {
    name: string;
    stateDir: string;
    args?: string[];
    /** A command that starts it somewhere else, like `nsenter`. */
    within?: readonly string[];
    env?: Record<string, string>;
  },
): Promise<ChildProcess> {
  const { name, stateDir, args = [], ...place } = options;
  const join = await server.client.createJoinToken();
  if (!join.ok) throw new Error(`no join token: ${JSON.stringify(join.error)}`);
  const child = spawn("worker", [
    ...["--server", server.url, "--join", join.value.token, "--name", name],
    ...["--state-dir", `${stateDir}/${name}`],
    ...args,
  ], place);
  await eventually(async () => {
    const node = await server.client.getNode(name);
    return node.ok && node.value.status.state === "ready";
  }, { timeoutMs: 30_000, what: `worker ${name} to be ready` });
  return child;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
