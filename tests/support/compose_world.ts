/**
 * The command line in a directory with Compose files, on a server and a worker of its own.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { ensureTestImage } from "./engine.ts";
import { type ServerProcess, startServer, startWorker } from "./processes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface ComposeWorld {
  server: ServerProcess;
  berth(...args: string[]): Promise<{ code: number; out: string; err: string }>;
}

/** A server and a worker on the real engine; commands run in `dir` with these variables. */
export async function inDirectory(
  connection: EngineConnection,
  { dir, env }: { dir: string; env: Record<string, string> },
  run: (world: ComposeWorld) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const temporary = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${temporary}/server` });
  const worker = await startWorker(server, {
    name: `compose-${Deno.pid}`,
    stateDir: temporary,
  });
  const berth: ComposeWorld["berth"] = async (...args) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        `--config=${ROOT}deno.json`,
        "-P=cli",
        `${ROOT}cli/main.ts`,
        ...args,
      ],
      cwd: dir,
      env: {
        BERTH_SERVER: server.url,
        BERTH_TOKEN: server.token,
        XDG_CONFIG_HOME: temporary,
        ...env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  };
  try {
    await run({ server, berth });
  } finally {
    await berth("down", "--remove-orphans");
    await worker.stop();
    await server.stop();
    await Deno.remove(temporary, { recursive: true });
  }
}
