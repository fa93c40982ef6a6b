/**
 * What stories are told with: a user's request is waited for, and so is whatever it is to lead to.
 *
 * @module
 */
import type { Client, Result } from "../../../api/client.ts";
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import type { TaskRow } from "../facts.ts";
import type { SimNode } from "../node.ts";
import type { Replica } from "../plane.ts";
import { Detour } from "../run.ts";
import type { Sim } from "../sim.ts";

export const MACHINE = { cpus: 2, memoryMiB: 1024, labels: {} } as const;

const PATIENCE_MS = 20_000;

/** Asks as a user and waits for the answer. */
export async function ask<T>(
  sim: Sim,
  what: string,
  request: (client: Client) => Promise<Result<T>>,
): Promise<T> {
  let answer: { value: T | undefined } | undefined;
  void sim.user.ask(what, request).then((value) => answer = { value });
  await until(sim, what, () => answer !== undefined);
  if (answer?.value === undefined) throw new Detour(`${what}: it did not work`);
  return answer.value;
}

/** A service of a user, as the moves know it too. */
export async function create(sim: Sim, spec: ServiceSpecInput): Promise<void> {
  const idempotencyKey = sim.user.newKey();
  await ask(
    sim,
    `creates ${spec.name}`,
    (client) => client.createService(spec, { idempotencyKey }),
  );
  sim.user.services.set(spec.name, { spec, deleted: false });
}

/** Changes a service that was created here. */
export async function put(
  sim: Sim,
  name: string,
  change: Partial<ServiceSpecInput>,
): Promise<void> {
  const known = sim.user.services.get(name);
  if (!known) throw new Detour(`there is no ${name}`);
  const spec = { ...known.spec, ...change };
  known.spec = spec;
  const idempotencyKey = sim.user.newKey();
  await ask(sim, `changes ${name}`, (client) => client.putService(name, spec, { idempotencyKey }));
}

/** Lets time pass until that is so. */
export async function until(sim: Sim, what: string, holds: () => boolean): Promise<void> {
  if (!await sim.pass(PATIENCE_MS, holds)) throw new Detour(`${what}: it did not come to that`);
}

/** The tasks of a service whose containers run, with the node of each. */
export function running(sim: Sim, service: string): { task: TaskRow; node: SimNode }[] {
  const { facts } = sim.checker;
  return sim.nodes.flatMap((node) =>
    node.control.containers().flatMap(({ taskId, state }) => {
      const task = facts.task(taskId);
      const isIts = task && facts.service(task.serviceId)?.name === service;
      return isIts && state === "running" ? [{ task, node }] : [];
    })
  );
}

export function leader(sim: Sim): Replica | undefined {
  return sim.replicas.find((replica) => replica.leads());
}

/** The spec of a service that runs until it is stopped. */
export function serviceOf(
  name: string,
  more: Partial<ServiceSpecInput> = {},
): ServiceSpecInput {
  return {
    name,
    mode: { type: "replicated", replicas: 1 },
    template: { image: "app:1", restart: { condition: "any", maxAttempts: 2, maxDelayMs: 2000 } },
    ...more,
  };
}
