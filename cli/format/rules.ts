/**
 * Rules of placement and probes, as people write them on the command line. Pure, and without the schemas,
 * which know what is allowed: they are loaded only when a command runs.
 *
 * @module
 */
import type { z } from "zod";
import type { Parsed } from "../command.ts";
import type { AgentProbe } from "../../kv/schema/health.ts";
import type { Affinity, Spread, Taint, Toleration } from "../../kv/schema/placement.ts";

type AffinityInput = z.input<typeof Affinity>;
type SpreadInput = z.input<typeof Spread>;
type TolerationInput = z.input<typeof Toleration>;
type HttpProbe = Extract<z.input<typeof AgentProbe>, { type: "http" }>;

const EFFECTS: readonly Taint["effect"][] = ["no-schedule", "prefer-no-schedule", "no-execute"];

/** `KEY`, `KEY=VALUE`, `KEY:no-schedule`, `*`; nothing stands for none. */
export function parseToleration(text: string): Parsed<TolerationInput | undefined> {
  if (text === "") return { ok: true, value: undefined };
  const [, what = "", effect] = /^(.*?)(?::([a-z-]+))?$/.exec(text) ?? [];
  const known = EFFECTS.find((name) => name === effect);
  if (effect !== undefined && !known) {
    return { ok: false, message: `the effect after ':' is one of ${EFFECTS.join(", ")}` };
  }
  const of = known ? { effect: known } : {};
  if (what === "*") return { ok: true, value: { operator: "exists", ...of } };
  const equals = what.indexOf("=");
  const key = equals < 0 ? what : what.slice(0, equals);
  if (key === "") return { ok: false, message: "write KEY[=VALUE][:EFFECT], or *" };
  return {
    ok: true,
    value: equals < 0
      ? { key, operator: "exists", ...of }
      : { key, operator: "equal", value: what.slice(equals + 1), ...of },
  };
}

/** A taint to set, or the key of those to take away. */
export type TaintChange = { taint: Taint } | { key: string };

/** `KEY`, `KEY=VALUE`, `KEY:no-execute` (without: no-schedule), or `KEY-` to take it away. */
export function parseTaint(text: string): Parsed<TaintChange> {
  if (/^[^=:]+-$/.test(text)) return { ok: true, value: { key: text.slice(0, -1) } };
  const parsed = parseToleration(text);
  if (!parsed.ok) return parsed;
  const { key, value, effect = "no-schedule" } = parsed.value ?? {};
  if (key === undefined) return { ok: false, message: "write KEY[=VALUE][:EFFECT], or KEY-" };
  return { ok: true, value: { taint: { key, effect, ...(value === undefined ? {} : { value }) } } };
}

/** `db`, `shop/db,topology=zone,required`, `node.labels.disk==ssd,weight=70`; nothing: none. */
export function parseAffinity(text: string): Parsed<AffinityInput | undefined> {
  if (text === "") return { ok: true, value: undefined };
  const [target = "", ...rest] = text.split(",");
  const settings = parseSettings(rest, ["topology", "weight"]);
  if (!settings.ok) return settings;
  const { topology, weight, required } = settings.value;
  const more = {
    required,
    ...(topology === undefined ? {} : { topology }),
    ...(weight === undefined ? {} : { weight: Number(weight) }),
  };
  if (/[=!]=/.test(target)) return { ok: true, value: { to: { constraint: target }, ...more } };
  const [, project, service = ""] = /^(?:([^/]*)\/)?(.*)$/.exec(target) ?? [];
  const to = { service, ...(project === undefined ? {} : { project }) };
  return { ok: true, value: { to, ...more } };
}

/** `zone`, `zone,weight=80`, `zone,max-skew=2`, which is required; nothing stands for none. */
export function parseSpread(text: string): Parsed<SpreadInput | undefined> {
  if (text === "") return { ok: true, value: undefined };
  const [label = "", ...rest] = text.split(",");
  const settings = parseSettings(rest, ["max-skew", "weight"]);
  if (!settings.ok) return settings;
  const { "max-skew": maxSkew, weight, required } = settings.value;
  return {
    ok: true,
    value: {
      label,
      required: required || maxSkew !== undefined,
      ...(maxSkew === undefined ? {} : { maxSkew: Number(maxSkew) }),
      ...(weight === undefined ? {} : { weight: Number(weight) }),
    },
  };
}

/** What follows the first comma: `required`, and `KEY=VALUE` for these keys, each once. */
function parseSettings<K extends string>(
  parts: readonly string[],
  keys: readonly K[],
): Parsed<{ required: boolean } & Partial<Record<K, string>>> {
  const found: Partial<Record<string, string>> = {};
  let required = false;
  for (const part of parts) {
    const [, key = "", value = ""] = /^([^=]*)=?(.*)$/.exec(part) ?? [];
    if (part === "required") required = true;
    else if (!keys.some((known) => known === key) || value === "" || found[key] !== undefined) {
      const known = keys.map((name) => `${name}=…`).join(", ");
      return { ok: false, message: `'${part}' is not one of required, ${known}, each once` };
    } else found[key] = value;
  }
  return { ok: true, value: { required, ...found as Partial<Record<K, string>> } };
}

/** `8080`, `8080/healthz`, `https:8443/up`. */
export function parseHttpProbe(text: string): Parsed<HttpProbe> {
  const match = /^(?:(https?):)?(\d{1,5})(\/.*)?$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || !(port >= 1 && port <= 65535)) {
    return { ok: false, message: "write [https:]PORT[/PATH], like 8080/healthz" };
  }
  const scheme = match[1] === "https" ? { scheme: "https" as const } : {};
  const path = match[3] === undefined ? {} : { path: match[3] };
  return { ok: true, value: { type: "http", port, ...scheme, ...path } };
}

export function parsePortNumber(text: string): Parsed<number> {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535
    ? { ok: true, value: port }
    : { ok: false, message: "write a port from 1 to 65535" };
}

/** Higher goes first; it may be negative. */
export function parsePriority(text: string): Parsed<number> {
  const value = /^-?\d{1,4}$/.test(text) ? Number(text) : NaN;
  return Math.abs(value) <= 1000
    ? { ok: true, value }
    : { ok: false, message: "write a whole number from -1000 to 1000" };
}
