/**
 * From `build` of a service to what the engine's API is asked for. Pure.
 *
 * @module
 */
import type { Lookup } from "../interpolate.ts";
import type { ComposeService, Project } from "../resolve.ts";
import { ComposeError, entriesOf, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { bytesAt, flagAt, numberAt, pairsAt, textAt, textsAt } from "./read.ts";
import { imageOf } from "./service.ts";

export interface BuildPlan {
  image: string;
  /** Also when the engine has it: `pull_policy: build`. */
  always: boolean;
  /** An absolute path of a directory, or what the engine fetches by itself. */
  context: { dir: string } | { remote: string };
  /** Beside the context's own files; absent: `Dockerfile`. */
  dockerfile: { path: string } | { text: string };
  /** The engine's parameters of `POST /build`, without those about the Dockerfile. */
  query: [name: string, value: string][];
}

export type Build =
  | { kind: "plan"; services: string[]; plan: BuildPlan }
  /** What only BuildKit does is asked for: somebody else has to build it. */
  | { kind: "elsewhere"; services: string[]; image: string; why: string };

/** What the engine's plain builder does not know. */
const BUILDKIT = [
  ...["additional_contexts", "cache_to", "entitlements", "privileged", "provenance", "sbom"],
  ...["secrets", "ssh"],
];

/** The images that the services want built, each once. */
export function buildsOf(project: Project, lookup: Lookup): Build[] {
  const found = new Map<string, Build>();
  for (const service of project.services.values()) {
    const build = get(service.tree, "build");
    if (!build) continue;
    const image = imageOf(project, service);
    const known = found.get(image);
    if (known) known.services.push(service.name);
    else found.set(image, buildOf(service, build, { image, lookup }));
  }
  return [...found.values()];
}

function buildOf(
  { name, tree }: ComposeService,
  build: Tree,
  { image, lookup }: { image: string; lookup: Lookup },
): Build {
  const only = BUILDKIT.find((key) => isAsked(get(build, key)));
  const platforms = textsAt(build, "platforms") ?? [];
  const why = only !== undefined
    ? `build.${only} needs BuildKit`
    : platforms.length > 1
    ? "it is for several platforms"
    : undefined;
  if (why !== undefined) return { kind: "elsewhere", services: [name], image, why };
  const platform = platforms[0] ?? textAt(tree, "platform");
  return {
    kind: "plan",
    services: [name],
    plan: {
      image,
      always: textAt(tree, "pull_policy") === "build",
      context: contextOf(build),
      dockerfile: dockerfileOf(build),
      query: [...tagsOf(build, image), ...parametersOf(build, lookup), ...optional({ platform })],
    },
  };
}

function isAsked(tree: Tree | undefined): boolean {
  if (!tree) return false;
  if (tree.kind === "scalar") return tree.value !== false;
  return tree.kind === "list" ? tree.items.length > 0 : tree.entries.size > 0;
}

function contextOf(build: Tree): BuildPlan["context"] {
  const context = textAt(build, "context") ?? ".";
  return context.startsWith("/") ? { dir: context } : { remote: context };
}

function dockerfileOf(build: Tree): BuildPlan["dockerfile"] {
  const text = textAt(build, "dockerfile_inline");
  const path = textAt(build, "dockerfile");
  if (text !== undefined && path !== undefined) {
    throw new ComposeError(
      "build: dockerfile and dockerfile_inline exclude one another",
      get(build, "dockerfile_inline")?.at,
      "keep one",
    );
  }
  return text === undefined ? { path: path ?? "Dockerfile" } : { text };
}

function tagsOf(build: Tree, image: string): [string, string][] {
  return [...new Set([image, ...textsAt(build, "tags") ?? []])].map((tag) => ["t", tag]);
}

function parametersOf(build: Tree, lookup: Lookup): [string, string][] {
  const args = argsOf(build, lookup);
  const labels = pairsAt(build, "labels");
  const ulimits = entriesOf(get(build, "ulimits")).map(([Name, { value }]) => ({
    ...{ Name, Soft: numberAt(value, "soft") ?? 0, Hard: numberAt(value, "hard") ?? 0 },
  }));
  const hosts = entriesOf(get(build, "extra_hosts")).flatMap(([name, { value }]) =>
    itemsOf(value).map((address) => `${name}:${textOf(address) ?? ""}`)
  );
  const cacheFrom = textsAt(build, "cache_from");
  return optional({
    buildargs: args && JSON.stringify(args),
    labels: labels && JSON.stringify(labels),
    cachefrom: cacheFrom && JSON.stringify(cacheFrom),
    ulimits: ulimits.length === 0 ? undefined : JSON.stringify(ulimits),
    extrahosts: hosts.length === 0 ? undefined : hosts.join(","),
    nocache: flagAt(build, "no_cache") ? "1" : undefined,
    pull: flagAt(build, "pull") ? "1" : undefined,
    target: textAt(build, "target"),
    networkmode: textAt(build, "network"),
    shmsize: bytesAt(build, "shm_size")?.toString(),
  });
}

/** An argument without a value has that of the environment; without that it is not given. */
function argsOf(build: Tree, lookup: Lookup): Record<string, string> | undefined {
  const args = get(build, "args");
  if (!args) return undefined;
  return Object.fromEntries(
    entriesOf(args).flatMap(([name, { value }]) => {
      const text = textOf(value) ?? lookup(name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

function optional(values: Record<string, string | undefined>): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]]
  );
}
