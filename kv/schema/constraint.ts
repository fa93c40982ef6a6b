/**
 * Constraints on nodes, in the notation of Swarm: `node.labels.zone==a`, `node.ip!=10.0.0.0/8`.
 *
 * @module
 */
import { z } from "zod";
import { LABEL_KEY } from "./common.ts";
import { type Network, parseNetwork } from "./ip.ts";

/** What a constraint can ask about. */
export const ATTRIBUTES = [
  "node.id",
  "node.name",
  "node.hostname",
  "node.ip",
  "node.pool",
  "node.platform.os",
  "node.platform.arch",
] as const;
export type Attribute = typeof ATTRIBUTES[number];

const LABELS = ["node.labels", "engine.labels"] as const;

export interface Constraint {
  attribute: Attribute | typeof LABELS[number];
  /** The label's key. */
  label?: string;
  equal: boolean;
  value: string;
  /** Of `node.ip`. */
  network?: Network;
}

export type ParsedConstraint =
  | { ok: true; constraint: Constraint }
  /** `message` names the position, counted in characters from 1. */
  | { ok: false; message: string };

/** Reads one constraint. Blanks around the operator do not count. */
export function parseConstraint(text: string): ParsedConstraint {
  const begin = /^\s*/.exec(text)?.[0].length ?? 0;
  const name = /^[^\s=!]*/.exec(text.slice(begin))?.[0] ?? "";
  const subject = parseSubject(name, begin);
  if (typeof subject === "string") return { ok: false, message: subject };
  const at = begin + name.length + (/^\s*/.exec(text.slice(begin + name.length))?.[0].length ?? 0);
  const operator = text.slice(at, at + 2);
  if (operator !== "==" && operator !== "!=") {
    const found = text[at] === undefined ? "the end" : `'${operator}'`;
    return refused(at, `expected == or !=, found ${found}`);
  }
  const rest = text.slice(at + 2);
  const valueAt = at + 2 + (/^\s*/.exec(rest)?.[0].length ?? 0);
  const value = rest.trim();
  if (value === "") return refused(valueAt, "expected a value, found the end");
  const extra = value.search(/[=!]=/);
  if (extra !== -1) return refused(valueAt + extra, "a constraint has one operator");
  const constraint: Constraint = { ...subject, equal: operator === "==", value };
  if (subject.attribute !== "node.ip") return { ok: true, constraint };
  const network = parseNetwork(value);
  return network
    ? { ok: true, constraint: { ...constraint, network } }
    : refused(valueAt, `'${value}' is neither an address nor a network like 10.0.0.0/8`);
}

/** The constraint in its shortest form. */
export function constraintText({ attribute, label, equal, value }: Constraint): string {
  const name = label === undefined ? attribute : `${attribute}.${label}`;
  return `${name}${equal ? "==" : "!="}${value}`;
}

/** The attribute that is named, or what is wrong with the name. */
function parseSubject(name: string, at: number): Pick<Constraint, "attribute" | "label"> | string {
  const lower = name.toLowerCase();
  const attribute = ATTRIBUTES.find((known) => known === lower);
  if (attribute) return { attribute };
  const labels = LABELS.find((known) => lower.startsWith(`${known}.`));
  if (labels) {
    const label = name.slice(labels.length + 1);
    if (LABEL_KEY.test(label)) return { attribute: labels, label };
    const what = label === "" ? "expected the label's key" : `'${label}' is not a label's key`;
    return placed(at + labels.length + 1, what);
  }
  if (lower === "node.role") {
    return placed(at, "node.role: nodes have no roles here, each of them runs tasks; leave it out");
  }
  const known = [...ATTRIBUTES, ...LABELS.map((prefix) => `${prefix}.KEY`)].join(", ");
  return placed(at, name === "" ? `expected one of ${known}` : `'${name}' is not one of ${known}`);
}

function placed(at: number, what: string): string {
  return `position ${at + 1}: ${what}`;
}

function refused(at: number, what: string): ParsedConstraint {
  return { ok: false, message: placed(at, what) };
}

export const ConstraintText = z.string().max(1280).superRefine((text, context) => {
  const parsed = parseConstraint(text);
  if (!parsed.ok) context.addIssue({ code: "custom", message: parsed.message });
}).meta({
  description: "A condition on nodes: an attribute, == or !=, a value. Values compare without " +
    "regard to case; a label that is missing is unequal to everything",
  examples: ["node.labels.zone==a", "node.ip!=10.0.0.0/8"],
});
