/**
 * The dockerode library, without what it loads for transports that Berth does not use. This is the
 * only importer of dockerode.
 *
 * dockerode requires an SSH client and a gRPC stack (for BuildKit sessions) when it is loaded: 12 MiB
 * of resident memory on every node. Neither is called for a socket or TCP engine, so while the
 * library loads, and only then, these names resolve to an unrelated built-in module. Were one of them
 * called after all, it would throw: DOCKER_HOST=ssh:// is refused earlier, and nothing is built here.
 *
 * @module
 */
// @ts-types="@types/dockerode"
import type Dockerode from "dockerode";
import module from "node:module";

const UNUSED: ReadonlySet<string> = new Set(["ssh2", "@grpc/grpc-js", "@grpc/proto-loader"]);

/** Node's synchronous resolution hooks, which the types that come with dockerode are too old to know. */
interface ModuleHooks {
  registerHooks(hooks: {
    resolve(
      specifier: string,
      context: unknown,
      next: (specifier: string, context: unknown) => unknown,
    ): unknown;
  }): { deregister(): void };
}

async function load(): Promise<typeof Dockerode> {
  const { registerHooks } = module as unknown as ModuleHooks;
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      UNUSED.has(specifier) ? { url: "node:util", shortCircuit: true } : next(specifier, context),
  });
  try {
    // @ts-types="@types/dockerode"
    const library = await import("dockerode");
    return library.default;
  } finally {
    hooks.deregister();
  }
}

/** Loaded with this module, as an import statement would. */
export const Docker: typeof Dockerode = await load();
export type { Dockerode };
