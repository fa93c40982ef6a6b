/**
 * Services asked for of a running server, and when the leader had placed their tasks, by its own stamps.
 *
 * @module
 */
import { describeError } from "../../api/client.ts";
import type { ServerProcess } from "../support/processes.ts";
import { pause } from "./bed.ts";
import { serviceOf } from "./stock.ts";

/** Of one service that is asked for at the pace. */
const STEP = 250;
const POLL_MS = 200;
const PATIENCE_MS = 300_000;

export async function ask(
  { client }: ServerProcess,
  name: string,
  replicas: number,
): Promise<void> {
  const created = await client.createService(serviceOf(name, replicas));
  if (!created.ok) throw new Error(`${name}: ${describeError(created.error)}`);
}

/** Asks for one service of so many tasks; answers how many a second were placed. */
export async function placeAtOnce(
  server: ServerProcess,
  name: string,
  tasks: number,
): Promise<number> {
  const beginMs = Date.now();
  await ask(server, name, tasks);
  return tasks / ((await placedMs(server, name, tasks) - beginMs) / 1000);
}

/** Asks for services at a pace, in tasks a second; answers the pace at which they were placed. */
export async function placeAt(
  server: ServerProcess,
  perSecond: number,
  ms: number,
): Promise<number> {
  const beginMs = Date.now();
  const everyMs = STEP / perSecond * 1000;
  const count = Math.max(1, Math.floor(ms / everyMs));
  for (let n = 0; n < count; n++) {
    await pause(Math.max(0, beginMs + n * everyMs - Date.now()));
    await ask(server, `pace-${n}`, STEP);
  }
  const endMs = await placedMs(server, `pace-${count - 1}`, STEP);
  return count * STEP / ((endMs - beginMs) / 1000);
}

/** The leader's stamp of the commit that placed the service's last task, in ms of the wall clock. */
async function placedMs({ client }: ServerProcess, name: string, tasks: number): Promise<number> {
  const limitMs = performance.now() + PATIENCE_MS;
  while (performance.now() < limitMs) {
    await pause(POLL_MS);
    const service = await client.getService(name);
    if (!service.ok || service.value.counts.pending < tasks) continue;
    const newest = await client.listEvents({ last: 1 });
    const at = newest.ok ? newest.value.items[0]?.at : undefined;
    if (at !== undefined) return Date.parse(at);
  }
  throw new Error(`${name} has no ${tasks} placed tasks`);
}
