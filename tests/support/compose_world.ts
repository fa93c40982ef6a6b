/**
 * The command line in a directory with Compose files, on a server and a worker of its own.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { type Ran, ranBerth } from "./berth.ts";
import { ensureTestImage } from "./engine.ts";
import { type ServerProcess, startServer, startWorker } from "./processes.ts";

export interface ComposeWorld {
  server: ServerProcess;
  berth(...args: string[]): Promise<Ran>;
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
  const berth: ComposeWorld["berth"] = (...args) =>
    ranBerth({ server, configDir: temporary, cwd: dir, env }, args);
  try {
    await run({ server, berth });
  } finally {
    await berth("down", "--remove-orphans");
    await worker.stop();
    await server.stop();
    await Deno.remove(temporary, { recursive: true });
  }
}
