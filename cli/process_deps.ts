/**
 * What commands need, from this process: made from the global flags and the environment it is given.
 *
 * @module
 */
import { systemClock } from "../kv/schema/time.ts";
import type { GlobalOptions } from "./catalog/global.ts";
import { contextsPath, resolveTarget } from "./connect.ts";
import type { ContextStore } from "./contexts.ts";
import type { Deps, FileSink, Io } from "./deps.ts";

/** The environment: the CLI reads a few by name, and those that a Compose file refers to. */
export type Env = (name: string) => string | undefined;

/** `env` takes what is empty for unset; `rawEnv`, for Compose files, does not. */
export function processDeps(globals: GlobalOptions, io: Io, env: Env, rawEnv: Env): Deps {
  const given = {
    server: globals.server ?? env("BERTH_SERVER"),
    token: globals.token ?? env("BERTH_TOKEN"),
  };
  const contexts = lazyStore(contextsPath(env));
  const columns = io.outIsTty ? io.size()?.columns : undefined;
  return {
    io,
    view: {
      output: globals.format ? "json" : globals.output ?? "table",
      ...(globals.format ? { template: globals.format } : {}),
      yes: globals.yes,
      color: io.outIsTty && !globals.noColor && !env("NO_COLOR"),
      quiet: globals.quiet,
      ...(columns === undefined ? {} : { columns }),
    },
    clock: systemClock,
    random: Math.random,
    given,
    contexts,
    readTextFile: (path) => Deno.readTextFile(path),
    here: {
      cwd: () => Deno.cwd(),
      env: rawEnv,
      exists,
      user: () => `${env("USER") ?? env("LOGNAME") ?? "somebody"}@${Deno.hostname()}`,
    },
    readFile: (path) => Deno.readFile(path),
    openFile: async (path) => (await Deno.open(path)).readable,
    createFile,
    builder: async () => await (await import("./local/builder.ts")).findBuilder(env, exists),
    connection: () =>
      resolveTarget({
        flags: present({ server: globals.server, token: globals.token, context: globals.context }),
        env: present({
          server: env("BERTH_SERVER"),
          token: env("BERTH_TOKEN"),
          context: env("BERTH_CONTEXT"),
        }),
        contexts: () => contexts.read(),
      }),
    async connect({ server, token }) {
      // A schema that is compiled before its first use pays where it is used often. It is not here.
      const { config } = await import("zod");
      config({ jitless: true });
      const { createClient } = await import("../api/client.ts");
      return createClient({ url: server, ...(token ? { token } : {}) });
    },
    ...(globals.timeout === undefined ? {} : { timeoutMs: globals.timeout }),
  };
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

/** Whoever may read the content of a volume may not be who may read this directory. */
async function createFile(path: string): Promise<FileSink> {
  const partial = `${path}.partial`;
  const file = await Deno.open(partial, { write: true, create: true, truncate: true, mode: 0o600 });
  return {
    async write(data) {
      for (let at = 0; at < data.length;) at += await file.write(data.subarray(at));
    },
    async commit() {
      await file.sync();
      file.close();
      await Deno.rename(partial, path);
    },
    async discard() {
      file.close();
      await Deno.remove(partial);
    },
  };
}

/** The contexts file, whose parser is loaded when it is first needed: most of a start is loading. */
function lazyStore(path: string): ContextStore {
  const open = async () => (await import("./contexts.ts")).contextStore(path);
  return {
    path,
    read: async () => (await open()).read(),
    update: async (change) => (await open()).update(change),
  };
}

function present<T extends Record<string, string | undefined>>(
  values: T,
): { [K in keyof T]?: string } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== ""),
  ) as { [K in keyof T]?: string };
}
