/**
 * What this node's proxies were told last, kept over restarts of the agent: the proxies run on meanwhile.
 *
 * @module
 */
import { z } from "zod";
import type { Log } from "../log.ts";
import { messageOf, writeFileAtomically } from "../state_file.ts";

const Loaded = z.object({ generation: z.int().min(0), hash: z.string() });
export type Loaded = z.infer<typeof Loaded>;

const Stored = z.object({ format: z.literal(1), runs: z.record(z.string(), Loaded) });

export interface LoadedStore {
  load(): Promise<void>;
  get(run: string): Loaded | undefined;
  put(run: string, loaded: Loaded): Promise<void>;
}

/** Runs that are remembered; a node has one at a time, and they follow one another. */
const MAX_RUNS = 4;

/** A file in `dir`, which must exist. What cannot be kept is only loaded once more. */
export function createLoadedStore(dir: string, log: Log): LoadedStore {
  const path = `${dir}/ingress.json`;
  const runs = new Map<string, Loaded>();
  return {
    async load() {
      try {
        const stored = Stored.parse(JSON.parse(await Deno.readTextFile(path)));
        for (const [run, loaded] of Object.entries(stored.runs)) runs.set(run, loaded);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return;
        log("warn", "what the ingress proxy was told is not known", { reason: messageOf(error) });
      }
    },
    get: (run) => runs.get(run),
    async put(run, loaded) {
      runs.delete(run);
      runs.set(run, loaded);
      for (const old of [...runs.keys()].slice(0, -MAX_RUNS)) runs.delete(old);
      try {
        const text = JSON.stringify({ format: 1, runs: Object.fromEntries(runs) });
        await writeFileAtomically(path, text);
      } catch (error) {
        log("error", "cannot save what the ingress proxy was told", { reason: messageOf(error) });
      }
    },
  };
}
