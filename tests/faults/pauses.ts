/**
 * Processes that stand still for longer than the TTL and then go on as if nothing had been: a suspended
 * machine, a frozen virtual one, SIGSTOP.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { eventually } from "../support/eventually.ts";
import { inRig, type Rig } from "../support/rig.ts";

export interface PauseOptions {
  /** Of a worker's silence. */
  ttlMs: number;
  /** How long to stand still. */
  forMs: number;
}

/** What stands still, by name. */
export type Frozen = "server" | "worker" | "both";

const TASKS = 4;
/** For a thawed cluster to come to rest. */
const REST_MS = 60_000;

/**
 * Freezes, thaws, and holds what comes of it against what must: containers run through it; as long as
 * the server itself stood still nobody is given up; a worker that stood still alone is replaced, and
 * gives way when it is back.
 */
export async function freeze(
  connection: EngineConnection | undefined,
  frozen: Frozen,
  options: PauseOptions,
): Promise<void> {
  await inRig(connection, { workers: ["a", "b"], ttlMs: options.ttlMs }, async (rig) => {
    const { server, workers, run, running, live } = rig;
    await run({ name: "web", mode: { type: "replicated", replicas: TASKS } });
    await running("web", TASKS);
    const before = (await live("web")).map(({ id, node }) => ({ id, node }));
    const worker = workers.get("a");
    const asleep = frozen === "server"
      ? [server]
      : frozen === "worker"
      ? [worker]
      : [server, worker];
    for (const process of asleep) process?.signal("SIGSTOP");
    const beganMs = performance.now();
    await eventually(() => performance.now() - beganMs > options.forMs, {
      timeoutMs: 2 * options.forMs,
    });
    for (const process of asleep) process?.signal("SIGCONT");

    await run({ name: "later", mode: { type: "replicated", replicas: 2 } });
    await running("later", 2);
    await running("web", TASKS);
    const kept = frozen === "worker" ? before.filter(({ node }) => node === "b") : before;
    const after = (await live("web")).map(({ id }) => id);
    assertEquals(kept.filter(({ id }) => !after.includes(id)), [], "tasks that were replaced");
    if (frozen === "worker") await settled(rig);
    else assertEquals(await silences(rig), [], "a server that stood still gave nobody up");
  });
}

/** Waits until the thawed worker has given up what was replaced, and is ready. */
async function settled({ server, live, places }: Rig): Promise<void> {
  await eventually(async () => {
    const node = await server.client.getNode("a");
    return node.ok && node.value.status.state === "ready";
  }, { timeoutMs: REST_MS, what: "the thawed node to be ready" });
  const slots = (await live("web")).map(({ slot }) => slot);
  assertEquals(new Set(slots).size, TASKS, `slots ${slots}`);
  assert((await places("web")).every((node) => node !== undefined));
}

async function silences({ server }: Rig): Promise<string[]> {
  const events = await server.client.listEvents({ limit: 500 });
  assert(events.ok);
  return events.value.items
    .filter(({ type, state }) => type === "node.down" || state === "lost")
    .map(({ type, node, why }) => `${type} ${node}: ${why}`);
}
