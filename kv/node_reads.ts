/**
 * Nodes, read: by id or name, and listed by name.
 *
 * @module
 */
import type { Immutable } from "./immutable.ts";
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { Id, timestamp } from "./schema/common.ts";
import {
  DRAIN_DEADLINE_MS,
  Node,
  type NodeSpec,
  NodeStatus,
  type NodeView,
  StoredNodeSpec,
} from "./schema/node.ts";
import { isTerminal } from "./schema/task_state.ts";
import type { Holding, LiveTasks } from "./schema/tasks_known.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import { getRow, getRows, type Kv, listRows } from "./store.ts";

export interface NodeReadDeps {
  kv: Kv;
  immutable: Immutable;
  live?: LiveTasks;
}

/** The facts row of a node, by id or name. */
export async function findNode(kv: Kv, ref: string): Promise<Outcome<Node>> {
  const byId = Id.safeParse(ref).success ? await getRow(kv, key.node(ref), Node) : undefined;
  if (byId) return done(byId.row);
  const id = (await getRow(kv, key.nodeName(ref), Id))?.row;
  const found = id === undefined ? undefined : await getRow(kv, key.node(id), Node);
  if (found) return done(found.row);
  return refuse("not-found", `there is no node ${ref}`, {
    hint: "`berth nodes` lists the nodes.",
  });
}

export async function getNode(deps: NodeReadDeps, ref: string): Promise<Outcome<NodeView>> {
  const found = await findNode(deps.kv, ref);
  return found.ok ? done(await nodeView(deps, found.value)) : found;
}

/** Nodes by name. */
export async function listNodes(
  deps: NodeReadDeps,
  query: PageQuery,
): Promise<Outcome<Page<NodeView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 1);
  if (!cursor.ok) return cursor;
  const [name] = cursor.value;
  const start = name === undefined ? {} : { start: key.nodeName(name) };
  const names: { key: Deno.KvKey; row: string }[] = [];
  for await (
    const entry of listRows(deps.kv, prefix.nodeNames(), Id, { ...start, limit: query.limit + 1 })
  ) {
    names.push(entry);
  }
  const more = names.length > query.limit ? names.pop() : undefined;
  const rows = await getRows(deps.kv, names.map((entry) => key.node(entry.row)), Node);
  const items: NodeView[] = [];
  for (const found of rows) {
    if (found) items.push(await nodeView(deps, found.row));
  }
  return done({ items, ...(more ? { next: encodeCursor([String(more.key[1])]) } : {}) });
}

/** The node as users see it: its three rows, and what its tasks hold of it. */
export async function nodeView(deps: NodeReadDeps, node: Node): Promise<NodeView> {
  const { kv } = deps;
  const [spec, status] = await Promise.all([
    getRow(kv, key.nodeSpec(node.id), StoredNodeSpec),
    getRow(kv, key.nodeStatus(node.id), NodeStatus),
  ]);
  if (!spec) throw new Error(`node ${node.id}: its spec row is missing`);
  const { drainingSince, ...chosen } = spec.row;
  const { tasks, milliCpus, memoryMiB } = deps.live?.onNode(node.id) ??
    await readHolding(deps, node.id);
  return {
    ...node,
    spec: chosen,
    status: status?.row ?? {
      state: "joining",
      since: node.joinedAt,
      why: "the scheduler has not looked at it yet",
    },
    version: spec.versionstamp,
    allocated: { cpus: milliCpus / 1000, memoryMiB },
    tasks,
    ...(chosen.availability === "drain" ? { drain: drainView(chosen, tasks, drainingSince) } : {}),
  };
}

function drainView({ drain }: NodeSpec, left: number, since?: string): NodeView["drain"] {
  if (since === undefined) return { left };
  const deadlineMs = drain?.deadlineMs ?? DRAIN_DEADLINE_MS;
  return { left, since, deadlineAt: timestamp(Date.parse(since) + deadlineMs) };
}

async function readHolding({ kv, immutable }: NodeReadDeps, nodeId: string): Promise<Holding> {
  const ids = await idsUnder(kv, prefix.assigned(nodeId));
  const holding = (await readTasks(kv, ids)).filter((task) => !isTerminal(task.state));
  const templates = await immutable.templates(holding.map(({ task }) => task));
  const held = { tasks: holding.length, milliCpus: 0, memoryMiB: 0 };
  for (const template of templates) {
    held.milliCpus += Math.round((template?.reserve.cpus ?? 0) * 1000);
    held.memoryMiB += template?.reserve.memoryMiB ?? 0;
  }
  return held;
}
