/**
 * What changed about a node, in words.
 *
 * @module
 */
import type { Node, NodeSpec } from "../kv/schema/node.ts";
import { sameValue } from "../kv/schema/same.ts";

type Values = Readonly<Record<string, string>>;

interface Known {
  node: Node;
  spec: NodeSpec;
}

/** `availability drain; labels zone=a, without disk`; `was`: absent for a node that has just joined. */
export function nodeChange(was: Known | undefined, is: Known): string {
  if (!was) return "joined";
  const [before, after] = [was.spec, is.spec];
  const said = sameValue(was.node, is.node) ? [] : ["what its agent says of the machine"];
  if (before.availability !== after.availability) said.push(`availability ${after.availability}`);
  const [labels, taints] = [
    difference(before.labels, after.labels),
    difference(taintsOf(before), taintsOf(after)),
  ];
  if (labels !== "") said.push(`labels ${labels}`);
  if (taints !== "") said.push(`taints ${taints}`);
  if (before.pool !== after.pool) said.push(`pool ${after.pool}`);
  if (before.ttlMs !== after.ttlMs) said.push("TTL");
  if (before.drain?.deadlineMs !== after.drain?.deadlineMs) said.push("deadline of drains");
  return said.join("; ") || "looked at again";
}

function taintsOf({ taints }: NodeSpec): Values {
  return Object.fromEntries(
    taints.map(({ key, value, effect }) => [`${key}:${effect}`, value ?? ""]),
  );
}

/** What was set, and what was taken away. */
function difference(before: Values, after: Values): string {
  const set = Object.entries(after).filter(([key, value]) => before[key] !== value)
    .map(([key, value]) => value === "" ? key : `${key}=${value}`);
  const gone = Object.keys(before).filter((key) => after[key] === undefined)
    .map((key) => `without ${key}`);
  return [...set, ...gone].join(", ");
}
