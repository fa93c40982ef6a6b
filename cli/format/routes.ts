/**
 * Routes as people write them in a flag, and selectors of nodes. Pure.
 *
 * @module
 */
import type { Parsed } from "../command.ts";
import type { RouteInput, RouteTls } from "../../kv/schema/route.ts";

const USAGE =
  "write HOST[/PATH] and, after commas, port=N, tls=plain, certificate=SECRET, sticky, " +
  "strip-prefix or redirect=URL";

/** `www.example.com/api,port=8080,sticky`. The schema checks the values. */
export function parseRoute(text: string): Parsed<RouteInput | ""> {
  if (text === "") return { ok: true, value: "" };
  const [place = "", ...words] = text.split(",");
  const slash = place.indexOf("/");
  const host = slash === -1 ? place : place.slice(0, slash);
  if (host === "" || host.includes(":")) return { ok: false, message: USAGE };
  const route: RouteInput = { host, ...(slash === -1 ? {} : { path: place.slice(slash) }) };
  for (const word of words) {
    const at = word.indexOf("=");
    const [name, given] = at === -1 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
    if (!setOption(route, name, given)) return { ok: false, message: `${USAGE}; not ${word}` };
  }
  return { ok: true, value: route };
}

function setOption(route: RouteInput, name: string, given: string): boolean {
  if (name === "sticky" && given === "") route.sticky = true;
  else if (name === "strip-prefix" && given === "") route.stripPrefix = true;
  else if (name === "port" && /^\d+$/.test(given)) route.port = Number(given);
  else if (name === "tls" && (given === "plain" || given === "auto")) route.tls = given;
  else if (name === "certificate" && given !== "") route.tls = { certificate: given };
  else if (name === "redirect" && given !== "") route.redirect = { to: given };
  else return false;
  return true;
}

/** How a route is encrypted, for people. */
export function tlsText(tls: RouteTls): string {
  return typeof tls === "object" ? `secret ${tls.certificate}` : tls;
}

/** The constraint that a selector is: one as it is, LABEL=VALUE, or a node's name; none for `all`. */
export function constraintOf(text: string): string | undefined {
  if (text === "all") return undefined;
  const label = /^([^=!]+)=([^=]+)$/.exec(text);
  if (label) return `node.labels.${label[1]}==${label[2]}`;
  return /[=!]=/.test(text) ? text : `node.name==${text}`;
}

const SELECTOR = /[=!]=|^[^=!]+=[^=]+$|^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** A selector; what its constraint says is for the schema to check. */
export function parseSelector(text: string): Parsed<string> {
  return SELECTOR.test(text)
    ? { ok: true, value: text }
    : { ok: false, message: "write a node's NAME, LABEL=VALUE, a constraint, or all" };
}

/** The directory of a certificate authority, or the word for none. */
export function parseAuthority(text: string): Parsed<string> {
  const known = text === "internal" || /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
  return known
    ? { ok: true, value: text }
    : { ok: false, message: "write an http or https URL, or internal" };
}

export function parseEmail(text: string): Parsed<string> {
  return /^[^\s@]+@[^\s@]+$/.test(text)
    ? { ok: true, value: text }
    : { ok: false, message: "write an e-mail address" };
}
