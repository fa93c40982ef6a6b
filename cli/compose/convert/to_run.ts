/**
 * From a resolved Compose service to a `docker run` line. Pure.
 *
 * @module
 */
import { imageOf } from "../map/service.ts";
import type { ComposeService, Project } from "../resolve.ts";
import { entriesOf, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { flagOf } from "../values.ts";
import { FLAGS, type RunFlag } from "./flags.ts";

export interface RunLine {
  words: string[];
  /** Keys that no flag stands for. */
  left: string[];
}

/** Keys that are dealt with beside the table. */
const SPECIAL = new Set([
  ...[
    "image",
    "build",
    "command",
    "entrypoint",
    "ulimits",
    "volumes",
    "ports",
    "networks",
    "devices",
  ],
  ...["extra_hosts", "gpus", "healthcheck", "logging", "profiles", "blkio_config", "expose"],
]);

export function runLine(project: Project, service: ComposeService): RunLine {
  const { tree, name } = service;
  const words = ["docker", "run", "-d"];
  if (!get(tree, "container_name")) words.push("--name", `${project.name}-${name}-1`);
  for (const flag of FLAGS) words.push(...flagWords(flag, tree));
  words.push(...networkWords(project, service), ...otherWords(tree));
  const [first, ...rest] = itemsOf(get(tree, "entrypoint")).map((item) => textOf(item) ?? "");
  if (first !== undefined) words.push("--entrypoint", first);
  const command = itemsOf(get(tree, "command")).map((item) => textOf(item) ?? "");
  words.push(imageOf(project, service), ...rest, ...command);
  const known = new Set(FLAGS.map(({ key }) => key.split(".")[0] ?? ""));
  const left = entriesOf(tree).map(([key]) => key)
    .filter((key) => !known.has(key) && !SPECIAL.has(key) && !key.startsWith("x-"));
  return { words, left };
}

/** Lines of one project find one another by name on a network of their own: its name, if there is one. */
export function networkOf(project: Project): string | undefined {
  const own = [...project.services.values()].filter(({ tree }) => !get(tree, "network_mode"));
  return own.length > 1 ? project.name : undefined;
}

function networkWords(project: Project, { tree, name }: ComposeService): string[] {
  const network = networkOf(project);
  if (network === undefined || get(tree, "network_mode")) return [];
  const aliases = entriesOf(get(tree, "networks")).flatMap(([, { value }]) =>
    itemsOf(get(value, "aliases")).map((item) => textOf(item) ?? "")
  );
  const names = [...new Set([name, ...aliases])];
  return ["--network", network, ...names.flatMap((one) => ["--network-alias", one])];
}

function flagWords({ names, key, kind }: RunFlag, tree: Tree): string[] {
  const [name = ""] = names;
  if (["ports", "volumes", "devices", "extra_hosts", "gpus"].includes(key)) return [];
  if (key.startsWith("networks.")) return [];
  const found = get(tree, ...key.split("."));
  if (!found) return [];
  const flag = `--${name}`;
  switch (kind) {
    case "switch":
      return flagOf(textOf(found)) ? [flag] : [];
    case "list":
      return itemsOf(found).flatMap((item) => [flag, textOf(item) ?? ""]);
    case "pairs":
      return entriesOf(found).flatMap((
        [one, { value }],
      ) => [flag, `${one}=${textOf(value) ?? ""}`]);
    case "words": {
      const [kindOfTest, ...test] = itemsOf(found).map((item) => textOf(item) ?? "");
      return kindOfTest === "NONE" ? ["--no-healthcheck"] : [flag, test.join(" ")];
    }
    default:
      return [flag, textOf(found) ?? ""];
  }
}

/** What is long notation here and short there. */
function otherWords(tree: Tree): string[] {
  const text = (item: Tree, key: string) => textOf(get(item, key));
  const ports = itemsOf(get(tree, "ports")).flatMap((item) => {
    const host = [text(item, "host_ip"), text(item, "published")].filter((part) => part);
    const protocol = text(item, "protocol") === "udp" ? "/udp" : "";
    return ["--publish", [...host, `${text(item, "target")}${protocol}`].join(":")];
  });
  const mounts = itemsOf(get(tree, "volumes")).flatMap((item) => {
    const source = text(item, "source");
    const size = textOf(get(item, "tmpfs", "size"));
    return [
      "--mount",
      [
        `type=${text(item, "type")}`,
        ...(source === undefined ? [] : [`source=${source}`]),
        `target=${text(item, "target")}`,
        ...(flagOf(text(item, "read_only")) ? ["readonly"] : []),
        ...(size === undefined ? [] : [`tmpfs-size=${size}`]),
      ].join(","),
    ];
  });
  const devices = itemsOf(get(tree, "devices")).flatMap((item) => [
    "--device",
    [text(item, "source"), text(item, "target"), text(item, "permissions")].filter((part) => part)
      .join(":"),
  ]);
  const hosts = entriesOf(get(tree, "extra_hosts")).flatMap(([name, { value }]) =>
    itemsOf(value).flatMap((address) => ["--add-host", `${name}:${textOf(address)}`])
  );
  const limits = entriesOf(get(tree, "ulimits")).flatMap(([name, { value }]) => [
    "--ulimit",
    `${name}=${text(value, "soft")}:${text(value, "hard")}`,
  ]);
  const [gpu] = itemsOf(get(tree, "gpus"));
  const count = gpu && text(gpu, "count");
  const gpus = gpu ? ["--gpus", count === undefined || count === "-1" ? "all" : count] : [];
  return [...ports, ...mounts, ...devices, ...hosts, ...limits, ...gpus];
}

/** A word as a shell takes it for one. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
