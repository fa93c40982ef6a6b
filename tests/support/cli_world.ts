/**
 * The command line as processes of its own, against a server and two simulated workers.
 *
 * @module
 */
import { berthCommand, type Ran, ranBerth } from "./berth.ts";
import { type ServerProcess, startServer, startWorker } from "./processes.ts";

export interface CliWorld {
  server: ServerProcess;
  /** A directory of its own. */
  dir: string;
  /** Runs the command line as its own process, to its end. */
  berth(...args: string[]): Promise<Ran>;
  start(...args: string[]): Deno.ChildProcess;
}

/** A server and two simulated workers, all of them processes of their own. */
export async function inWorld(run: (world: CliWorld) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const workers = await Promise.all(
    ["n1", "n2"].map((name) => startWorker(server, { name, stateDir: dir, args: ["--sim"] })),
  );
  const options = { server, configDir: dir };
  try {
    await run({
      server,
      dir,
      berth: (...args) => ranBerth(options, args),
      start: (...args) => berthCommand(options, args).spawn(),
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

/** The output so far of a process that is still running. */
export function reading(
  stream: ReadableStream<Uint8Array>,
): { text(): string; done: Promise<void> } {
  let text = "";
  const collect = async () => {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) text += piece;
  };
  return { text: () => text, done: collect() };
}
