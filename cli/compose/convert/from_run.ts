/**
 * From `docker run …` to a Compose service. Pure.
 *
 * @module
 */
import type { Parsed } from "../../command.ts";
import { generateName } from "../../run_spec.ts";
import { withoutVariables } from "../interpolate.ts";
import { fittedName } from "../load.ts";
import { ABOUT_THE_CLIENT, CLIENT_VALUES, FLAGS, type RunFlag } from "./flags.ts";

export type Plain = { [key: string]: unknown };

/** The words after `docker run`; `docker`, `run` and `container` may be there. */
export function composeOf(words: readonly string[]): Parsed<Plain> {
  let at = 0;
  while (at < 3 && /^(docker|podman|container|run|create)$/.test(words[at] ?? "")) at++;
  const service: Plain = {};
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      at++;
      break;
    }
    if (!word.startsWith("-") || word === "-") break;
    const taken = word.startsWith("--")
      ? longFlag(word, words[at + 1], service)
      : shortFlags(word, words[at + 1], service);
    if (!taken.ok) return taken;
    at += taken.value;
  }
  const image = words[at];
  if (image === undefined) return { ok: false, message: "there is no image in this line" };
  const command = words.slice(at + 1);
  const whole: Plain = { image, ...service, ...(command.length > 0 ? { command } : {}) };
  const base = typeof service.container_name === "string"
    ? fittedName(service.container_name)
    : generateName(image, () => 0).replace(/-[^-]*$/, "");
  const networks = networksOf(service);
  const volumes = namedVolumes(service);
  return {
    ok: true,
    value: {
      services: { [base ?? "app"]: withoutVariables(whole) },
      ...(networks.length > 0
        ? { networks: Object.fromEntries(networks.map((name) => [name, { external: true }])) }
        : {}),
      ...(volumes.length > 0
        ? { volumes: Object.fromEntries(volumes.map((name) => [name, {}])) }
        : {}),
    },
  };
}

/** The networks that the line names, with its aliases; those of the default one are of the first. */
function networksOf(service: Plain): string[] {
  const networks = service.networks as Record<string, Plain> | undefined;
  const named = Object.keys(networks ?? {}).filter((name) => name !== "default");
  const [first] = named;
  if (networks?.default && first !== undefined) {
    networks[first] = networks.default;
    delete networks.default;
  }
  return named;
}

/** A file has to define the volumes that it names. */
function namedVolumes({ volumes = [] }: Plain): string[] {
  const sources = (volumes as (string | Plain)[]).flatMap((one) => {
    if (typeof one !== "string") return one.type === "volume" && one.source ? [one.source] : [];
    const [source = "", target] = one.split(":");
    return target === undefined || /^[./~]/.test(source) ? [] : [source];
  });
  return [...new Set(sources as string[])];
}

/** How many further words a flag takes. */
function longFlag(word: string, next: string | undefined, service: Plain): Parsed<number> {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals === -1 ? undefined : equals);
  const inline = equals === -1 ? undefined : word.slice(equals + 1);
  if (ABOUT_THE_CLIENT.has(name)) return { ok: true, value: 0 };
  if (CLIENT_VALUES.has(name)) return { ok: true, value: inline === undefined ? 1 : 0 };
  const take = Object.hasOwn(SPECIAL, name) ? SPECIAL[name] : undefined;
  if (take) {
    const text = inline ?? next;
    if (text === undefined) return missing(word);
    const special = take(text, service);
    return special.ok ? { ok: true, value: inline === undefined ? 1 : 0 } : special;
  }
  const flag = FLAGS.find(({ names }) => names.includes(name) && name.length > 1);
  if (!flag) return unknown(`--${name}`);
  if (flag.kind === "switch") {
    put(service, flag, inline ?? "true");
    return { ok: true, value: 0 };
  }
  const text = inline ?? next;
  if (text === undefined) return missing(word);
  put(service, flag, text);
  return { ok: true, value: inline === undefined ? 1 : 0 };
}

/** `-dit`, `-p80:80`, `-p 80:80`. */
function shortFlags(word: string, next: string | undefined, service: Plain): Parsed<number> {
  for (let i = 1; i < word.length; i++) {
    const letter = word[i] ?? "";
    if (ABOUT_THE_CLIENT.has(letter)) continue;
    if (CLIENT_VALUES.has(letter)) return { ok: true, value: i + 1 < word.length ? 0 : 1 };
    if (letter === "P") return unknown("-P");
    const flag = FLAGS.find(({ names }) => names.includes(letter));
    if (!flag) return unknown(`-${letter}`);
    if (flag.kind === "switch") {
      put(service, flag, "true");
      continue;
    }
    const inline = word.slice(i + 1).replace(/^=/, "");
    const text = inline === "" ? next : inline;
    if (text === undefined) return missing(`-${letter}`);
    put(service, flag, text);
    return { ok: true, value: inline === "" ? 1 : 0 };
  }
  return { ok: true, value: 0 };
}

function unknown(flag: string): Parsed<number> {
  return { ok: false, message: `${flag} has no counterpart in a Compose file: take it out` };
}

function missing(flag: string): Parsed<number> {
  return { ok: false, message: `${flag} needs a value` };
}

function put(service: Plain, { key, kind }: RunFlag, text: string): void {
  const path = key.split(".");
  const last = path.pop() ?? "";
  let at = service;
  for (const step of path) at = (at[step] ??= {}) as Plain;
  switch (kind) {
    case "switch":
      at[last] = text === "true";
      return;
    case "number":
      at[last] = Number.isNaN(Number(text)) ? text : Number(text);
      return;
    case "list":
      at[last] = [...(at[last] as string[] | undefined ?? []), text];
      return;
    case "pairs": {
      const equals = text.indexOf("=");
      const name = equals === -1 ? text : text.slice(0, equals);
      at[last] = {
        ...(at[last] as Plain | undefined),
        [name]: equals === -1 ? null : text.slice(equals + 1),
      };
      return;
    }
    default:
      at[last] = text;
  }
}

function network(text: string, service: Plain): Parsed<number> {
  if (/^(bridge|host|none|container:.*)$/.test(text)) service.network_mode = text;
  else service.networks = { ...(service.networks as Plain | undefined), [text]: {} };
  return { ok: true, value: 0 };
}

const SPECIAL: Record<string, (text: string, service: Plain) => Parsed<number>> = {
  network,
  net: network,
  /** One word replaces the image's entrypoint. */
  entrypoint(text: string, service: Plain): Parsed<number> {
    service.entrypoint = [text];
    return { ok: true, value: 0 };
  },
  ulimit(text: string, service: Plain): Parsed<number> {
    const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
    if (!match) return { ok: false, message: `--ulimit ${text}: write NAME=SOFT[:HARD]` };
    const [, name = "", soft, hard = soft] = match;
    const limits = (service.ulimits ??= {}) as Plain;
    limits[name] = { soft: Number(soft), hard: Number(hard) };
    return { ok: true, value: 0 };
  },
  mount(text: string, service: Plain): Parsed<number> {
    const fields = new Map(
      text.split(",").map((part): [string, string] => {
        const equals = part.indexOf("=");
        return equals === -1 ? [part, "true"] : [part.slice(0, equals), part.slice(equals + 1)];
      }),
    );
    const of = (...names: string[]) => names.map((name) => fields.get(name)).find((one) => one);
    const target = of("target", "dst", "destination");
    if (target === undefined) return { ok: false, message: `--mount ${text}: there is no target` };
    const size = of("tmpfs-size");
    const mount: Plain = {
      type: of("type") ?? "volume",
      ...(of("source", "src") === undefined ? {} : { source: of("source", "src") }),
      target,
      ...(of("readonly", "ro") === "true" ? { read_only: true } : {}),
      ...(size === undefined ? {} : { tmpfs: { size } }),
    };
    service.volumes = [...(service.volumes as unknown[] | undefined ?? []), mount];
    return { ok: true, value: 0 };
  },
};
