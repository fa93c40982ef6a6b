/**
 * Which task a connection to a service, or to one task, goes to.
 *
 * @module
 */
import { type Client, describeError, type Result } from "../api/client.ts";
import type { ServiceEndpoints } from "../kv/schema/endpoint.ts";
import { isNotFound, noSuch, refOf } from "./find.ts";

export interface Reach {
  /** For people. */
  name: string;
  /** The first TCP port inside the container that the service names. */
  firstPort?: number;
  /** The task for a new connection: ready ones in turn. */
  chooseTask(): Promise<{ ok: true; taskId: string } | { ok: false; message: string }>;
}

/** `ref` is a service or a task; neither needs to publish anything. */
export async function reach(
  client: Pick<Client, "getEndpoints" | "getTask" | "getService">,
  ref: string,
  givenProject: string | undefined,
): Promise<Result<Reach>> {
  const { name, project } = refOf(ref, givenProject);
  const service = name.includes(".") ? undefined : await client.getEndpoints(name, project);
  if (service?.ok) return { ok: true, value: reachService(client, service.value) };
  if (service && !isNotFound(service.error)) return service;
  const task = await client.getTask(name, project);
  if (!task.ok) {
    return isNotFound(task.error) ? service ?? noSuch("service or task", name, project) : task;
  }
  const { id: taskId, service: of } = task.value;
  const ports = await client.getService(of, task.value.project);
  const first = ports.ok ? ports.value.template.ports.find((p) => p.protocol === "tcp") : undefined;
  return {
    ok: true,
    value: {
      name: task.value.name,
      ...(first ? { firstPort: first.target } : {}),
      chooseTask: () => Promise.resolve({ ok: true, taskId }),
    },
  };
}

function reachService(
  client: Pick<Client, "getEndpoints">,
  { id, project, name, ports }: ServiceEndpoints,
): Reach {
  let turn = 0;
  const first = ports.find(({ protocol }) => protocol === "tcp");
  return {
    name,
    ...(first ? { firstPort: first.target } : {}),
    async chooseTask() {
      const now = await client.getEndpoints(id, project);
      if (!now.ok) return { ok: false, message: describeError(now.error) };
      const ready = now.value.endpoints.filter(({ state }) => state === "ready");
      const chosen = ready[turn++ % Math.max(1, ready.length)];
      return chosen
        ? { ok: true, taskId: chosen.taskId }
        : { ok: false, message: `${name} has no task that is ready; see berth ps ${name}` };
    },
  };
}
