/**
 * Commands that look at nodes and change them.
 *
 * @module
 */
import { type AnyCommand, flag, type Parsed, serverCommand, value } from "../command.ts";
import type { LabelChange } from "../commands/node_change.ts";
import { EXIT } from "../exit.ts";
import { parseDuration } from "../format/duration.ts";
import { parseTaint, type TaintChange } from "../format/rules.ts";
import { fail } from "../report.ts";
import { NO_WAIT } from "./global.ts";

const GROUP = "Machines and servers:";
const NODES = { group: GROUP, completes: "nodes" as const };
const load = () => import("../commands/node_change.ts");

export const nodeCommands: AnyCommand[] = [
  serverCommand({
    ...{ ...NODES, name: "node inspect", args: "<node>", options: {} },
    summary: "Show everything about a node",
    examples: [["berth node inspect n1", "facts, spec, state, what is left of a drain"]],
    run: async (_options, [ref = ""], deps) =>
      (await import("../commands/inspect.ts")).inspect(
        { kind: "node", project: undefined },
        ref,
        deps,
      ),
  }),
  serverCommand({
    ...{ ...NODES, name: "node cordon", args: "<node...>", options: {} },
    summary: "Give nodes no new tasks; those that they have stay",
    examples: [["berth node cordon n1", "before maintenance"]],
    run: async (_options, refs, deps) => (await load()).cordon(refs, deps),
  }),
  serverCommand({
    ...{ ...NODES, name: "node activate", args: "<node...>", options: {} },
    summary: "Give nodes tasks again, after cordon or drain",
    examples: [["berth node activate n1", "tasks do not move back by themselves"]],
    run: async (_options, refs, deps) => (await load()).activate(refs, deps),
  }),
  serverCommand({
    ...{ ...NODES, name: "node drain", args: "<node...>" },
    summary: "Move all tasks of nodes elsewhere",
    details: "No more tasks of a service are down at once than its disruption budget allows.\n" +
      "At the deadline (one hour if not given) what is left is stopped regardless. Tasks of\n" +
      "global services go at once: nothing takes their place.",
    options: {
      deadline: value("--deadline <time>", "Stop what is left after this, like 10m", parseDuration),
      noWait: NO_WAIT,
    },
    examples: [
      ["berth node drain n1", "wait until it is empty"],
      ["berth node drain n1 --deadline 5m --no-wait", "ask for it and return"],
    ],
    run: async ({ deadline, noWait }, refs, deps) =>
      (await load()).drain({ deadlineMs: deadline, noWait }, refs, deps),
  }),
  serverCommand({
    ...{ ...NODES, name: "node label", args: "<node> <label...>", options: {} },
    summary: "Set labels (key=value) or take them away (key-)",
    examples: [
      ["berth node label n1 zone=a disk=ssd", "for placement"],
      ["berth node label n1 disk-", "without it again"],
    ],
    run: async (_options, [ref = "", ...texts], deps) => {
      const changes: LabelChange[] = [];
      for (const text of texts) {
        const parsed = parseLabel(text);
        if (!parsed.ok) return fail(deps, parsed.message, "berth node label --help", EXIT.usage);
        changes.push(parsed.value);
      }
      return (await load()).label(ref, changes, deps);
    },
  }),
  serverCommand({
    ...{ ...NODES, name: "node taint", args: "<node> <taint...>", options: {} },
    summary: "Keep tasks away that do not tolerate it (key[=value][:effect]), or no more (key-)",
    details:
      "Effects: no-schedule (if none is given), prefer-no-schedule, and no-execute, which\n" +
      "also moves away the tasks that run there: within their services' disruption budgets\n" +
      "for an hour, then regardless. Tasks of global services go at once.",
    examples: [
      ["berth node taint n1 gpu", "only tasks with --toleration gpu come here"],
      ["berth node taint n1 leaving=soon:no-execute", "and the others leave"],
      ["berth node taint n1 gpu-", "without it again"],
    ],
    run: async (_options, [ref = "", ...texts], deps) => {
      const changes: TaintChange[] = [];
      for (const text of texts) {
        const parsed = parseTaint(text);
        if (!parsed.ok) {
          return fail(deps, `${text}: ${parsed.message}`, "berth node taint --help", EXIT.usage);
        }
        changes.push(parsed.value);
      }
      return (await load()).taint(ref, changes, deps);
    },
  }),
  serverCommand({
    ...{ ...NODES, name: "node pool", args: "<pool> <node...>", options: {} },
    summary: "Put nodes into a pool",
    details:
      "Services ask for one with --pool. The pool of a node that was never put into one is\n" +
      "default.",
    examples: [["berth node pool edge n7 n8", "services with --pool edge run there"]],
    run: async (_options, [pool = "", ...refs], deps) => (await load()).movePool(refs, pool, deps),
  }),
  serverCommand({
    ...{ ...NODES, name: "node rm", args: "<node...>" },
    summary: "Remove nodes from the cluster",
    details: "Refused while tasks run on it, unless forced: they are replaced elsewhere.\n" +
      "The node's credential stops working within seconds.",
    options: { force: flag("-f, --force", "Also while tasks run on it") },
    examples: [
      ["berth node rm n1", "a drained node"],
      ["berth node rm -f n1", "a machine that will not come back"],
    ],
    run: async (options, refs, deps) => (await load()).removeNodes(options, refs, deps),
  }),
  serverCommand({
    ...{ ...NODES, name: "node restart", args: "<node...>", options: {} },
    summary: "Restart the agents of nodes; containers run on",
    examples: [["berth node restart n1", "the agent adopts what runs"]],
    run: async (_options, refs, deps) => (await load()).restart(refs, deps),
  }),
];

/** `key=value`, or `key-` to take it away. */
export function parseLabel(text: string): Parsed<LabelChange> {
  const equals = text.indexOf("=");
  if (equals > 0) {
    return { ok: true, value: { key: text.slice(0, equals), value: text.slice(equals + 1) } };
  }
  if (equals < 0 && text.endsWith("-") && text.length > 1) {
    return { ok: true, value: { key: text.slice(0, -1) } };
  }
  return { ok: false, message: `a label must look like key=value, or key- to remove it: ${text}` };
}
