/**
 * Removing a node: its rows and its credentials go in one commit with the leader's wake-up. What its
 * tasks held is given up by the leader, who is the only writer of tasks.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { findNode } from "./node_reads.ts";
import { done, type Outcome, refuse, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { isTerminal } from "./schema/task_state.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import type { Kv } from "./store.ts";

/** Its token works for a few seconds more (kv/tokens.ts). Refuses while tasks run, unless forced. */
export async function removeNode(
  deps: { kv: Kv; newId: () => string },
  ref: string,
  options: { force: boolean },
): Promise<Outcome<undefined>> {
  const { kv } = deps;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const found = await findNode(kv, ref);
    if (!found.ok) return found;
    const { id, name } = found.value;
    const tasks = await readTasks(kv, await idsUnder(kv, prefix.assigned(id)));
    const live = tasks.filter(({ state }) => !isTerminal(state)).length;
    if (live > 0 && !options.force) {
      return refuse("busy", `node ${name} has ${live} ${live === 1 ? "task" : "tasks"}`, {
        hint: `Drain it first: berth node drain ${name}. Or remove it as it is, with force: its ` +
          "tasks are then replaced elsewhere.",
      });
    }
    const [spec, tokens] = await Promise.all([
      kv.get(key.nodeSpec(id)),
      kv.get<string[]>(key.nodeToken(id)),
    ]);
    const op = kv.atomic().check(spec).check(tokens)
      .delete(key.node(id)).delete(key.nodeName(name)).delete(key.nodeSpec(id))
      .delete(key.nodeStatus(id)).delete(key.nodeToken(id)).delete(key.nodeRestart(id))
      .delete(key.report(id));
    for (const sha256 of tokens.value ?? []) op.delete(key.token(sha256));
    if ((await enqueue(op, { kind: "node", id }, deps.newId).commit()).ok) return done(undefined);
  }
  return tooManyConflicts(`node ${ref}`);
}
