/**
 * What users restart: a service, by its update policy, or one task at once.
 *
 * @module
 */
import type { Move } from "./moves.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

export const RESTART_MOVES: readonly Move[] = [
  { name: "restart a service", weight: 2, run: restartService },
  { name: "restart a task", weight: 3, run: restartTask },
];

async function restartService(sim: Sim, random: Random): Promise<void> {
  const found = sim.user.pick(random, ["replicated", "global"]);
  if (!found) return;
  const [name] = found;
  const idempotencyKey = sim.user.newKey();
  await sim.user.ask(
    `restarts ${name}`,
    (client) => client.steerRollout(name, { action: "restart" }, undefined, { idempotencyKey }),
  );
}

/** By its id: repeated late, it must not hit the task that follows in the slot. */
async function restartTask(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  const [name] = user.pick(random) ?? [];
  if (name === undefined) return;
  const tasks = await user.ask(
    `looks for a task of ${name}`,
    (client) => client.listTasks({ service: name, limit: 50 }),
  );
  const live = (tasks?.items ?? []).filter(({ desired }) => desired === "run");
  if (live.length === 0) return;
  const { id } = random.pick(live);
  await user.ask(`restarts task ${id}`, (client) => client.restartTask(id));
}
