/**
 * One notation for everything: short forms become long ones, lists of `NAME=VALUE` become maps, so that
 * merging and mapping know one form each. Pure.
 *
 * @module
 */
import { longDevice, longVolume } from "./mounts.ts";
import { longPorts } from "./ports.ts";
import {
  ComposeError,
  isNull,
  list,
  map,
  type MapTree,
  scalar,
  type ScalarTree,
  type Tree,
  withEntry,
} from "./tree.ts";
import { shellWords } from "./values.ts";

type Rewrite = (tree: Tree) => Tree;

/** `A=b` and `A: b` to a map; a name alone has no value: null. */
const toPairs: Rewrite = (tree) => {
  if (tree.kind !== "list") return tree;
  const entries = tree.items.map((item): [string, Tree] => {
    const text = item.kind === "scalar" ? item.text : "";
    const equals = text.indexOf("=");
    return equals === -1
      ? [text, scalar(null, item.at, "")]
      : [text.slice(0, equals), scalar(text.slice(equals + 1), item.at)];
  });
  return keepTag(tree, map(entries, tree.at));
};

const toList: Rewrite = (tree) =>
  tree.kind === "scalar" ? keepTag(tree, list([tree], tree.at)) : tree;

/** Commands are lists of words; Compose runs no shell of its own accord. */
const toWords: Rewrite = (tree) => {
  if (tree.kind !== "scalar" || isNull(tree)) return tree;
  const words = shellWords(tree.text);
  if (!words) throw new ComposeError("a quote in this command has no end", tree.at);
  return keepTag(tree, list(words.map((word) => scalar(word, tree.at)), tree.at));
};

const each = (rewrite: (item: Tree) => Tree | Tree[]): Rewrite => (tree) =>
  tree.kind === "list" ? { ...tree, items: tree.items.flatMap(rewrite) } : tree;

const scalarTo = (make: (item: ScalarTree) => Tree | Tree[]) => (item: Tree): Tree | Tree[] =>
  item.kind === "scalar" ? make(item) : item;

/** A list of names to a map of them. */
const toNames = (value: (item: Tree) => Tree): Rewrite => (tree) =>
  tree.kind !== "list" ? tree : keepTag(
    tree,
    map(
      tree.items.map((
        item,
      ): [string, Tree] => [item.kind === "scalar" ? item.text : "", value(item)]),
      tree.at,
    ),
  );

const source = scalarTo((item) => map([["source", item]], item.at));
const started = (item: Tree) =>
  map(
    [["condition", scalar("service_started", item.at)], ["required", scalar(true, item.at)]],
    item.at,
  );

const dependency: Rewrite = (tree) => {
  const named = toNames(started)(tree);
  if (named.kind !== "map") return named;
  const entries = [...named.entries].map(([name, { at, value }]) => {
    const full = value.kind !== "map"
      ? started(value)
      : value.entries.has("required")
      ? value
      : withEntry(value, "required", scalar(true, value.at));
    return [name, { at, value: full }] as const;
  });
  return { ...named, entries: new Map(entries) };
};

const test: Rewrite = (tree) =>
  tree.kind !== "scalar" || isNull(tree) ? tree : keepTag(
    tree,
    list([scalar("CMD-SHELL", tree.at), tree], tree.at),
  );

const limit: Rewrite = (tree) =>
  tree.kind === "scalar" ? map([["soft", tree], ["hard", tree]], tree.at) : tree;

const hosts: Rewrite = (tree) => {
  const named = tree.kind !== "list" ? tree : keepTag(
    tree,
    map(
      tree.items.map((item): [string, Tree] => {
        const [, name = "", address = ""] = item.kind === "scalar"
          ? /^([^=:]+)[=:](.+)$/.exec(item.text) ?? []
          : [];
        if (name === "") {
          throw new ComposeError("this is no HOST=ADDRESS", item.at, "write like db=10.0.0.7");
        }
        return [name, scalar(address.replace(/^\[(.*)\]$/, "$1"), item.at)];
      }),
      tree.at,
    ),
  );
  return inEach(toList)(named);
};

const inEach = (rewrite: Rewrite): Rewrite => (tree) =>
  tree.kind !== "map" ? tree : {
    ...tree,
    entries: new Map(
      [...tree.entries].map(([name, { at, value }]) => [name, { at, value: rewrite(value) }]),
    ),
  };

const gpus: Rewrite = (tree) =>
  tree.kind === "scalar" && !isNull(tree)
    ? list([map([["count", scalar(-1, tree.at)]], tree.at)], tree.at)
    : tree;

const network: Rewrite = (tree) => isNull(tree) ? map([], tree.at) : tree;

const HOOK: Rewrites = { command: toWords, environment: toPairs };

interface Rewrites {
  [key: string]: Rewrite | Rewrites;
}

const DEVICE: Rewrites = { options: toPairs };

const BUILD: Rewrites = {
  args: toPairs,
  labels: toPairs,
  extra_hosts: hosts,
  ulimits: inEach(limit),
};

const SERVICE: Rewrites = {
  annotations: toPairs,
  build: (tree) =>
    rewriteMap(
      tree.kind === "scalar" && !isNull(tree) ? map([["context", tree]], tree.at) : tree,
      BUILD,
    ),
  command: toWords,
  configs: each(source),
  depends_on: dependency,
  deploy: {
    labels: toPairs,
    resources: { reservations: { devices: each((item) => rewriteMap(item, DEVICE)) } },
  },
  devices: each(scalarTo((item) => longDevice(item.text, item.at))),
  dns: toList,
  dns_search: toList,
  entrypoint: toWords,
  env_file: (tree) => each(scalarTo((item) => map([["path", item]], item.at)))(toList(tree)),
  environment: toPairs,
  expose: each(scalarTo((item) => scalar(item.text, item.at))),
  extends: (tree) =>
    tree.kind === "scalar" && !isNull(tree) ? map([["service", tree]], tree.at) : tree,
  extra_hosts: hosts,
  gpus: (tree) => each((item) => rewriteMap(item, DEVICE))(gpus(tree)),
  healthcheck: { test },
  label_file: toList,
  labels: toPairs,
  networks: (tree) => inEach(network)(toNames((item) => map([], item.at))(tree)),
  ports: each(scalarTo((item) => longPorts(item.text, item.at))),
  post_start: each((item) => rewriteMap(item, HOOK)),
  pre_start: each((item) => rewriteMap(item, HOOK)),
  pre_stop: each((item) => rewriteMap(item, HOOK)),
  secrets: each(source),
  sysctls: toPairs,
  tmpfs: toList,
  ulimits: inEach(limit),
  volumes: each(scalarTo((item) => longVolume(item.text, item.at))),
};

const external: Rewrite = (tree) =>
  tree.kind === "map" ? tree.entries.has("name") ? tree : scalar(true, tree.at) : tree;

const RESOURCE: Rewrites = { labels: toPairs, external };

const FILE: Rewrites = {
  services: inEach((tree) => rewriteMap(tree, SERVICE)),
  networks: inEach((tree) => rewriteMap(network(tree), RESOURCE)),
  volumes: inEach((tree) => rewriteMap(network(tree), RESOURCE)),
  secrets: inEach((tree) => rewriteMap(tree, RESOURCE)),
  configs: inEach((tree) => rewriteMap(tree, RESOURCE)),
};

/** The canonical form of a file that was checked. */
export function canonical(file: Tree): Tree {
  return rewriteMap(file, FILE);
}

function rewriteMap(tree: Tree, rewrites: Rewrites): Tree {
  if (tree.kind !== "map") return tree;
  const entries = [...tree.entries].map(([name, { at, value }]) => {
    const rewrite = rewrites[name];
    const skip = rewrite === undefined || value.tag === "reset";
    const next = skip
      ? value
      : typeof rewrite === "function"
      ? rewrite(value)
      : rewriteMap(value, rewrite);
    return [name, { at, value: next }] as const;
  });
  return { ...tree, entries: new Map(entries) } satisfies MapTree;
}

function keepTag(from: Tree, to: Tree): Tree {
  return from.tag === undefined ? to : { ...to, tag: from.tag };
}
