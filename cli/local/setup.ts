/**
 * What `dev` and `demo` share: where things are, what the workers may use, and interruption.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Deps } from "../deps.ts";
import { type LocalEngine, localEngine } from "./engine.ts";

export interface LocalOptions {
  workers: number | undefined;
  cpus: number | undefined;
  /** MiB. */
  memory: number | undefined;
  sim: boolean;
  /** A playground of so many simulated nodes beside the workers. */
  simNodes?: number;
}

export interface Setup {
  /** The checkout. */
  root: string;
  engine: LocalEngine;
  /** Why there are simulated workers although none were asked for. */
  noEngine?: string;
  sim: boolean;
  engineName: string;
  cpus: number;
  memoryMiB: number;
}

/** Simulated machines cost nothing: each gets this much. */
const SIM = { cpus: 4, memoryMiB: 8192 };

export type SetupResult = { ok: true; setup: Setup } | { ok: false; message: string };

/** Looks for a checkout and an engine. */
export async function findSetup(options: LocalOptions, workers: number): Promise<SetupResult> {
  const here = new URL("../../", import.meta.url);
  const root = here.protocol === "file:" ? fileURLToPath(here).replace(/\/$/, "") : undefined;
  if (root === undefined || !(await Deno.stat(`${root}/main.ts`).catch(() => undefined))) {
    return {
      ok: false,
      message: "this needs a checkout of Berth: run it there as `deno task dev`",
    };
  }
  const run = await Deno.permissions.query({ name: "run", command: Deno.execPath() });
  if (run.state !== "granted") {
    return {
      ok: false,
      message: `this starts other processes, which the installed berth may not: run it as\n` +
        `\`deno task dev\` or \`deno task demo\` in ${root}`,
    };
  }
  const engine = localEngine(root);
  const info = options.sim ? undefined : await engine.info();
  const sim = !info?.ok;
  const found = info?.ok
    ? { name: info.engine, cpus: info.cpus, memoryMiB: info.memoryMiB }
    : { name: "simulated", cpus: SIM.cpus * workers, memoryMiB: SIM.memoryMiB * workers };
  return {
    ok: true,
    setup: {
      root,
      engine,
      sim,
      engineName: found.name,
      cpus: options.cpus ?? found.cpus,
      memoryMiB: options.memory ?? found.memoryMiB,
      ...(info && !info.ok ? { noEngine: info.message } : {}),
    },
  };
}

/** Aborts on the first Ctrl-C or termination; the owner calls `dispose`. */
export function interruption(deps: Pick<Deps, "io">): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const disposers = (["SIGINT", "SIGTERM", "SIGHUP"] as const)
    .map((name) => deps.io.onSignal(name, () => controller.abort()));
  return {
    signal: controller.signal,
    dispose: () => disposers.forEach((dispose) => dispose()),
  };
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * Stores a context and makes it current, so that `berth ps` works at once in another terminal.
 * Answers which one was current before.
 */
export async function keepContext(
  deps: Pick<Deps, "contexts">,
  name: string,
  context: { server: string; token: string },
): Promise<{ ok: true; previous?: string } | { ok: false; message: string }> {
  let previous: string | undefined;
  const kept = await deps.contexts.update((contexts) => {
    previous = contexts.current === name ? undefined : contexts.current;
    return {
      ok: true,
      value: { current: name, contexts: { ...contexts.contexts, [name]: context } },
    };
  });
  return kept.ok ? { ok: true, ...(previous === undefined ? {} : { previous }) } : kept;
}

/**
 * Forgets a context whose server is gone, and makes the previous one current again; does nothing if it
 * was replaced meanwhile.
 */
export async function dropContext(
  deps: Pick<Deps, "contexts">,
  name: string,
  { server, previous }: { server: string; previous?: string },
): Promise<void> {
  await deps.contexts.update((contexts) => {
    const { [name]: own, ...rest } = contexts.contexts;
    if (own?.server !== server) return { ok: true, value: contexts };
    const current = contexts.current === name ? previous : contexts.current;
    return {
      ok: true,
      value: {
        contexts: rest,
        ...(current !== undefined && rest[current] ? { current } : {}),
      },
    };
  });
}
