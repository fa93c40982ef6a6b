/**
 * The simulated nodes that shall be. Users write them; the process that hosts them follows. Every change
 * checks and advances one head row, so that a version stands for one set.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { findNode } from "./node_reads.ts";
import { removeNode } from "./node_removal.ts";
import type { NodeDeps } from "./nodes.ts";
import { done, type Outcome, refuse, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import {
  PLAYGROUND_LABEL,
  PlaygroundHead,
  PlaygroundNode,
  type PlaygroundSet,
  type SeedRequest,
} from "./schema/playground.ts";
import { getRow, type Kv, listRows } from "./store.ts";

/** Simulated nodes at the most: one process hosts them all. */
export const MAX_NODES = 1000;

const EMPTY: PlaygroundHead = { version: 0, seeded: 0, next: 1 };

type Change = (
  op: Deno.AtomicOperation,
  head: PlaygroundHead,
) => Promise<Outcome<PlaygroundHead | undefined>>;

/** One change of the set; `undefined` from `change` means that there is nothing to do. */
async function changeSet(kv: Kv, what: string, change: Change): Promise<Outcome<undefined>> {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const found = await getRow(kv, key.playgroundHead(), PlaygroundHead);
    const head = found?.row ?? EMPTY;
    const op = kv.atomic()
      .check({ key: key.playgroundHead(), versionstamp: found?.versionstamp ?? null });
    const next = await change(op, head);
    if (!next.ok) return next;
    if (!next.value) return done(undefined);
    op.set(key.playgroundHead(), { ...next.value, version: head.version + 1 });
    if ((await op.commit()).ok) return done(undefined);
  }
  return tooManyConflicts(what);
}

/** Sees to sim-1 to sim-`count`. Those that an earlier call made are not made again when deleted since. */
export async function seedPlayground(kv: Kv, seed: SeedRequest): Promise<Outcome<undefined>> {
  const { count, cpus, memoryMiB } = seed;
  return await changeSet(kv, "the playground", async (op, head) => {
    if (count <= head.seeded) return done(undefined);
    for (let number = head.seeded + 1; number <= count; number++) {
      const name = nameOf(number);
      if (await getRow(kv, key.playgroundNode(name), PlaygroundNode)) continue;
      op.set(key.playgroundNode(name), { name, cpus, memoryMiB, generation: 1 });
    }
    return done({ ...head, seeded: count, next: Math.max(head.next, count + 1) });
  });
}

/** Adds one node under a name of its own. */
export async function addPlaygroundNode(
  kv: Kv,
  capacity: { cpus: number; memoryMiB: number },
): Promise<Outcome<PlaygroundNode>> {
  let added: PlaygroundNode | undefined;
  const changed = await changeSet(kv, "the playground", async (op, head) => {
    const { nodes } = await readPlayground(kv);
    if (nodes.length >= MAX_NODES) {
      return refuse("busy", `there are ${nodes.length} simulated nodes, which is the most`, {
        hint: "Delete some.",
      });
    }
    let { next } = head;
    while ((await kv.get(key.nodeName(nameOf(next)))).versionstamp !== null) next++;
    added = { name: nameOf(next), ...capacity, generation: 1 };
    op.set(key.playgroundNode(added.name), added);
    return done({ ...head, next: next + 1 });
  });
  if (!changed.ok) return changed;
  if (!added) throw new Error("add playground node: nothing was added");
  return done(added);
}

function nameOf(number: number): string {
  return `sim-${number}`;
}

/** Has a node restarted: its containers are gone, as after a machine's reboot. */
export async function restartPlaygroundNode(kv: Kv, ref: string): Promise<Outcome<string>> {
  let name = ref;
  const changed = await changeSet(kv, `node ${ref}`, async (op, head) => {
    const node = await findWanted(kv, ref);
    if (!node.ok) return node;
    ({ name } = node.value);
    op.set(key.playgroundNode(name), { ...node.value, generation: node.value.generation + 1 });
    return done(head);
  });
  return changed.ok ? done(name) : changed;
}

/** Takes a node out of the set, and out of the cluster if it is in it. */
export async function deletePlaygroundNode(
  deps: Pick<NodeDeps, "kv" | "newId">,
  ref: string,
): Promise<Outcome<string>> {
  const { kv } = deps;
  const node = await findWanted(kv, ref);
  if (!node.ok) {
    // One that joined while it was being deleted.
    const joined = await findNode(kv, ref);
    if (!joined.ok || !(PLAYGROUND_LABEL in joined.value.labels)) return node;
    const removed = await removeNode(deps, joined.value.id, { force: true });
    return removed.ok ? done(joined.value.name) : removed;
  }
  const { name } = node.value;
  const changed = await changeSet(kv, `node ${name}`, (op, head) => {
    op.delete(key.playgroundNode(name));
    return Promise.resolve(done(head));
  });
  if (!changed.ok) return changed;
  const removed = await removeNode(deps, name, { force: true });
  return removed.ok || removed.refusal.kind === "not-found" ? done(name) : removed;
}

/** A node of the set, by its name or by the id that it joined with. */
async function findWanted(kv: Kv, ref: string): Promise<Outcome<PlaygroundNode>> {
  const joined = await findNode(kv, ref);
  const name = joined.ok ? joined.value.name : ref;
  const wanted = await getRow(kv, key.playgroundNode(name), PlaygroundNode);
  if (wanted) return done(wanted.row);
  if (!joined.ok) return joined;
  return refuse("busy", `node ${name} is not simulated`, {
    hint: "These calls are for simulated nodes; `berth node --help` has those for real ones.",
  });
}

/** All that shall be, by name, and the version of the set. */
export async function readPlayground(kv: Kv): Promise<PlaygroundSet> {
  // The head is read first: a change in between is seen again with the next version.
  const head = await getRow(kv, key.playgroundHead(), PlaygroundHead);
  const nodes: PlaygroundNode[] = [];
  for await (const { row } of listRows(kv, prefix.playgroundNodes(), PlaygroundNode)) {
    nodes.push(row);
  }
  return { version: head?.row.version ?? 0, nodes };
}

/** Waits until the set is newer than `since`, or the signal aborts. */
export async function playgroundChange(
  kv: Kv,
  since: number,
  signal: AbortSignal,
): Promise<void> {
  const reader = kv.watch([key.playgroundHead()]).getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    while (true) {
      const { done: ended, value } = await reader.read();
      if (ended) return;
      const head = PlaygroundHead.safeParse(value[0].value);
      if (head.success && head.data.version > since) return;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
