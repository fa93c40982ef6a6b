/**
 * One file over another, as Compose merges: maps by key, lists one after the other, except those whose
 * items have an identity and those that are replaced whole. Both trees are canonical. Pure.
 *
 * @module
 */
import { get, isNull, type ListTree, type MapTree, textOf, type Tree } from "./tree.ts";

type Identity = (item: Tree) => string | undefined;

const target: Identity = (item) => textOf(get(item, "target"))?.replace(/(?<=.)\/+$/, "");
/** Without a target a secret or config is mounted under its own name. */
const targetOrSource: Identity = (item) => target(item) ?? textOf(get(item, "source"));
const port: Identity = (item) =>
  ["host_ip", "target", "published", "protocol"].map((name) => {
    const fallback = name === "protocol" ? "tcp" : "";
    return textOf(get(item, name)) ?? fallback;
  }).join("|");
const itself: Identity = (item) => textOf(item);

/** Lists in which a later item takes the place of the one it names. */
const IDENTITIES: Record<string, Identity> = {
  "services.*.ports": port,
  "services.*.volumes": target,
  "services.*.devices": target,
  "services.*.secrets": targetOrSource,
  "services.*.configs": targetOrSource,
  "services.*.env_file": (item) => textOf(get(item, "path")),
};

/** Lists of plain values that are sets. */
const SETS = new Set([
  ...["cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "expose", "group_add", "links"],
  ...["external_links", "label_file", "profiles", "security_opt", "tmpfs", "device_cgroup_rules"],
].map((name) => `services.*.${name}`));

/** Lists that the later file replaces. */
const REPLACED = new Set([
  "services.*.command",
  "services.*.entrypoint",
  "services.*.healthcheck.test",
]);

/** `over` on top of `base`. Tags of Compose in `over` are obeyed, and gone from the result. */
export function merge(base: Tree, over: Tree): Tree {
  return mergeAt(base, over, []);
}

function mergeAt(base: Tree, over: Tree, path: readonly string[]): Tree {
  if (over.tag === "override") return untagged(over);
  if (isNull(over)) return base;
  if (base.kind === "map" && over.kind === "map") return mergeMaps(base, over, path);
  if (base.kind === "list" && over.kind === "list") return mergeLists(base, over, path);
  return untagged(over);
}

function mergeMaps(base: MapTree, over: MapTree, path: readonly string[]): Tree {
  if (isPath(path, "services.*.logging") && otherDriver(base, over)) return untagged(over);
  const entries = new Map(base.entries);
  for (const [name, { at, value }] of over.entries) {
    const before = entries.get(name);
    if (value.tag === "reset") entries.delete(name);
    else if (!before) entries.set(name, { at, value: untagged(value) });
    else {
      const inner = [...path, name];
      // A variable or label may be set to nothing on purpose.
      const merged = PAIRS.test(pattern(path)) ? value : mergeAt(before.value, value, inner);
      entries.set(name, { at, value: merged });
    }
  }
  return { ...over, entries };
}

const PAIRS = /\.(environment|labels|annotations|sysctls|args)$/;

/** Options belong to their driver. */
function otherDriver(base: MapTree, over: MapTree): boolean {
  const [before, now] = [textOf(get(base, "driver")), textOf(get(over, "driver"))];
  return before !== undefined && now !== undefined && before !== now;
}

function mergeLists(base: ListTree, over: ListTree, path: readonly string[]): Tree {
  const where = pattern(path);
  if (REPLACED.has(where)) return untagged(over);
  const identity = IDENTITIES[where] ?? (SETS.has(where) ? itself : undefined);
  const items = [...base.items, ...over.items.map(untagged)];
  return { ...over, items: identity ? lastOfEach(items, identity) : items };
}

/** Each identity once, where it stood first, as it was said last. */
function lastOfEach(items: readonly Tree[], identity: Identity): Tree[] {
  const found = new Map<string, Tree>();
  items.forEach((item, i) => found.set(identity(item) ?? `#${i}`, item));
  return [...found.values()];
}

/** Carries out what tags ask for in a file that is merged over nothing. */
export function untagged(tree: Tree): Tree {
  const { tag: _, ...bare } = tree;
  if (bare.kind === "list") {
    return { ...bare, items: bare.items.filter((item) => item.tag !== "reset").map(untagged) };
  }
  if (bare.kind !== "map") return bare;
  const entries = [...bare.entries].filter(([, { value }]) => value.tag !== "reset")
    .map(([name, { at, value }]) => [name, { at, value: untagged(value) }] as const);
  return { ...bare, entries: new Map(entries) };
}

/** The path with the user's names left out: `services.*.ports`. */
function pattern(path: readonly string[]): string {
  return path.map((name, i) => i === 1 ? "*" : name).join(".");
}

function isPath(path: readonly string[], wanted: string): boolean {
  return pattern(path) === wanted;
}
