/**
 * A server and its workers that can be killed at any moment and started again on what they left.
 *
 * @module
 */
import type { Client } from "../../../api/client.ts";
import { type ChildProcess, spawn, startServer, startWorker } from "../../support/processes.ts";

export interface Fleet {
  client: Client;
  /** What runs now, by name. */
  alive(): string[];
  /** Sends SIGKILL and waits until it is gone. */
  kill(name: string): Promise<void>;
  /** Starts what was killed on its old data, without waiting for anything. */
  start(name: string): void;
  /** The last words of those that do not run, by name. */
  ended(): [name: string, words: string][];
  /** SIGTERM to all. */
  close(): Promise<void>;
}

export const SERVER = "server";
const WORDS = 2_000;

/**
 * Starts a server and `workers` workers in `dir`, or takes up again those that a former campaign left
 * there. `ttlMs` is the silence after which a worker counts as down.
 */
export async function startFleet(
  { dir, workers, ttlMs }: { dir: string; workers: number; ttlMs: number },
): Promise<Fleet> {
  const server = await startServer({
    dataDir: `${dir}/server`,
    args: ["--node-ttl-ms", String(ttlMs)],
  });
  const { url, client } = server;
  const names = Array.from({ length: workers }, (_, i) => `worker-${i + 1}`);
  const children = new Map<string, ChildProcess>([[SERVER, server]]);
  try {
    const started = names.map((name) => startWorker(server, { name, stateDir: dir }));
    for (const [i, child] of (await Promise.all(started)).entries()) {
      children.set(names[i] ?? "", child);
    }
  } catch (error) {
    for (const child of children.values()) await child.stop();
    throw error;
  }

  function commandOf(name: string): ChildProcess {
    if (name !== SERVER) {
      return spawn("worker", [
        ...["--server", url, "--name", name, "--state-dir", `${dir}/${name}`],
      ]);
    }
    return spawn("server", [
      ...["--listen", new URL(url).host, "--data", `${dir}/server`],
      ...["--node-ttl-ms", String(ttlMs)],
    ]);
  }

  return {
    client,
    alive: () => [...children].filter(([, child]) => !child.ended()).map(([name]) => name),
    async kill(name) {
      await children.get(name)?.stop("SIGKILL");
    },
    start: (name) => void children.set(name, commandOf(name)),
    ended: () =>
      [...children].filter(([, child]) => child.ended())
        .map(([name, child]) => [name, child.log().slice(-WORDS)]),
    async close() {
      const workersFirst = [...children].sort(([a], [b]) =>
        Number(a === SERVER) - Number(b === SERVER)
      );
      for (const [, child] of workersFirst) await child.stop();
    },
  };
}
