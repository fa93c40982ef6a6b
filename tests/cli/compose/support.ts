/**
 * Compose files in memory.
 *
 * @module
 */
import { loadModel, type LoadOptions, type Surroundings } from "../../../cli/compose/load.ts";
import { type Project, resolve } from "../../../cli/compose/resolve.ts";
import { ComposeError, get, toPlain } from "../../../cli/compose/tree.ts";

export const DIR = "/srv/shop";

export interface World {
  /** By path; relative ones are in {@link DIR}. */
  files: Record<string, string>;
  env?: Record<string, string>;
  cwd?: string;
  options?: Partial<LoadOptions>;
  services?: string[];
}

export function surroundings({ files, env = {}, cwd = DIR }: World): Surroundings {
  const all = new Map(
    Object.entries(files).map((
      [path, text],
    ) => [path.startsWith("/") ? path : `${DIR}/${path}`, text]),
  );
  return {
    cwd,
    home: "/home/ann",
    env: (name) => Object.hasOwn(env, name) ? env[name] : undefined,
    exists: (path) => Promise.resolve(all.has(path)),
    read: (path) => {
      const text = all.get(path);
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound("no such file"))
        : Promise.resolve(text);
    },
  };
}

export async function projectOf(world: World): Promise<Project> {
  const around = surroundings(world);
  const options = {
    ...{ files: [], project: undefined, projectDir: undefined, envFiles: [], profiles: [] },
    ...world.options,
  };
  const model = await loadModel(options, around);
  return await resolve(model, { services: world.services ?? [] }, around);
}

/** The project of one compose.yaml. */
export function projectIn(text: string, more: Omit<World, "files"> = {}): Promise<Project> {
  return projectOf({ ...more, files: { "compose.yaml": text } });
}

/** A service as plain data. */
export function serviceIn(project: Project, name: string): Record<string, unknown> {
  const found = project.services.get(name);
  if (!found) throw new Error(`no service ${name}`);
  return toPlain(found.tree) as Record<string, unknown>;
}

/** Whatever stands at a path of the merged file. */
export function plainAt(project: Project, ...path: string[]): unknown {
  const found = get(project.tree, ...path);
  return found && toPlain(found);
}

/** What is wrong with a file, in its one message. */
export async function wrongWith(world: World | string): Promise<string> {
  try {
    await (typeof world === "string" ? projectIn(world) : projectOf(world));
  } catch (error) {
    if (error instanceof ComposeError) return error.message.replaceAll(`${DIR}/`, "");
    throw error;
  }
  throw new Error("nothing was found to be wrong");
}
