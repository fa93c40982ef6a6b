/**
 * Nodes, changed: they join, say what they are, and users decide about them. Each write is one commit
 * with the wake-up of the leader.
 *
 * @module
 */
import { type Once, recordUse, writeOnce } from "./idempotency.ts";
import { key } from "./keys.ts";
import { findNode, nodeView } from "./node_reads.ts";
import type { Immutable } from "./immutable.ts";
import {
  done,
  type Outcome,
  refuse,
  tooManyConflicts,
  WRITE_ATTEMPTS,
  type Written,
} from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { sameValue } from "./same.ts";
import { Id, timestamp } from "./schema/common.ts";
import {
  Node,
  type NodeFacts,
  NodeSpec,
  NodeStatus,
  type NodeView,
  StoredNodeSpec,
} from "./schema/node.ts";
import type { WriteOptions } from "./services.ts";
import { getRow, type Kv } from "./store.ts";
import { mintToken, type TokenDeps } from "./tokens.ts";

export interface NodeDeps extends TokenDeps {
  kv: Kv;
}

export interface Joined {
  nodeId: string;
  credential: string;
}

/**
 * Admits a node and gives it a credential. A repetition with the same idempotency key (its answer was
 * lost) answers the same node with a further credential. Earlier ones stay good: the repetition may
 * have been overtaken by a later one, whose answer the node got and works with.
 */
export async function joinNode(
  deps: NodeDeps,
  facts: NodeFacts,
  once?: Once,
): Promise<Outcome<Joined>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `node ${facts.name}`, {
    async replay(use) {
      return await renewCredential(deps, use.objectId);
    },
    async attempt() {
      const taken = await getRow(kv, key.nodeName(facts.name), Id);
      if (taken) return await nameTaken(kv, facts.name, taken.row);
      const id = deps.newId();
      const token = await mintToken(deps, "node", id);
      const row: Node = { ...facts, id, joinedAt: timestamp(deps.clock.wallMs()) };
      const op = kv.atomic()
        .check({ key: key.nodeName(facts.name), versionstamp: null })
        .set(key.nodeName(facts.name), id)
        .set(key.node(id), row)
        .set(key.nodeSpec(id), NodeSpec.parse({}))
        .set(key.token(token.sha256), token.row)
        .set(key.nodeToken(id), [token.sha256]);
      recordUse(op, once, { status: 201, objectId: id });
      const committed = await enqueue(op, { kind: "node", id }, deps.newId).commit();
      return committed.ok ? done({ nodeId: id, credential: token.plain }) : undefined;
    },
  });
}

/** Undefined: somebody else did the same meanwhile. */
async function renewCredential(
  deps: NodeDeps,
  nodeId: string,
): Promise<Outcome<Joined> | undefined> {
  const held = await deps.kv.get<string[]>(key.nodeToken(nodeId));
  if (held.versionstamp === null) {
    return refuse("not-found", "this node joined before with this request, and was removed since", {
      hint: "Join anew, with a new Idempotency-Key.",
    });
  }
  const token = await mintToken(deps, "node", nodeId);
  const op = deps.kv.atomic().check(held)
    .set(key.token(token.sha256), token.row)
    .set(key.nodeToken(nodeId), [...held.value ?? [], token.sha256]);
  return (await op.commit()).ok ? done({ nodeId, credential: token.plain }) : undefined;
}

async function nameTaken(kv: Kv, name: string, id: string) {
  const status = (await getRow(kv, key.nodeStatus(id), NodeStatus))?.row;
  const how = status?.state === "down" ? `, which is down since ${status.since}` : "";
  return refuse("name-taken", `there is already a node ${name} (${id})${how}`, {
    hint: "Choose another name with --name; or, if this is that machine, start the agent on the " +
      "data directory that holds its credential.",
  });
}

/** Replaces what a node says of itself. Unchanged facts write nothing. */
export async function putFacts(
  deps: Pick<NodeDeps, "kv" | "newId">,
  nodeId: string,
  facts: NodeFacts,
): Promise<Outcome<undefined>> {
  const { kv } = deps;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const current = await getRow(kv, key.node(nodeId), Node);
    if (!current) return refuse("not-found", `there is no node ${nodeId}`);
    const { row, versionstamp } = current;
    if (row.name !== facts.name) {
      return refuse("invalid", `node ${row.name} keeps its name`, {
        hint: `Start the agent with --name ${row.name}, or join as a new node.`,
        errors: [{ field: "name", message: `must stay ${row.name}` }],
      });
    }
    const next: Node = { ...facts, id: row.id, joinedAt: row.joinedAt };
    if (sameValue(row, next)) return done(undefined);
    const op = kv.atomic().check({ key: key.node(nodeId), versionstamp })
      .set(key.node(nodeId), next);
    const committed = await enqueue(op, { kind: "node", id: nodeId }, deps.newId).commit();
    if (committed.ok) return done(undefined);
  }
  return tooManyConflicts(`node ${facts.name}`);
}

/** Replaces what users decide about a node. An unchanged spec writes nothing. */
export async function putNodeSpec(
  deps: Pick<NodeDeps, "kv" | "newId" | "clock"> & { immutable: Immutable },
  ref: string,
  spec: NodeSpec,
  options: WriteOptions = {},
): Promise<Outcome<Written<NodeView>>> {
  const { kv, immutable } = deps;
  const { once, ifMatch } = options;
  const reads = { kv, immutable };
  return await writeOnce(kv, once, `node ${ref}`, {
    async replay(use) {
      const found = await findNode(kv, use.objectId);
      if (!found.ok) return found;
      return done({ value: await nodeView(reads, found.value), replay: use.status });
    },
    async attempt() {
      const found = await findNode(kv, ref);
      if (!found.ok) return found;
      const node = found.value;
      const current = await getRow(kv, key.nodeSpec(node.id), StoredNodeSpec);
      if (!current) throw new Error(`node ${node.id}: its spec row is missing`);
      if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== current.versionstamp) {
        return refuse("changed", `node ${node.name} is at version ${current.versionstamp}`, {
          hint: "Read it again, apply your change to what you find, and send that version.",
        });
      }
      const { drainingSince, ...before } = current.row;
      const changed = !sameValue(before, spec);
      if (!changed && !once) return done({ value: await nodeView(reads, node) });
      const op = kv.atomic()
        .check({ key: key.nodeSpec(node.id), versionstamp: current.versionstamp });
      recordUse(op, once, { status: 200, objectId: node.id });
      if (changed) {
        const since = drainingSince ?? timestamp(deps.clock.wallMs());
        const drains = spec.availability === "drain";
        op.set(key.nodeSpec(node.id), drains ? { ...spec, drainingSince: since } : spec);
        enqueue(op, { kind: "node", id: node.id }, deps.newId);
      }
      const committed = await op.commit();
      return committed.ok ? done({ value: await nodeView(reads, node) }) : undefined;
    },
  });
}
