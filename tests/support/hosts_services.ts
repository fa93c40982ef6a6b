/**
 * Services on a bed of hosts: what the tests of several hosts share.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { TEST_IMAGE } from "./engine.ts";
import { eventually } from "./eventually.ts";
import type { ServerProcess } from "./processes.ts";

const LIVE = ["pending", "assigned", "preparing", "starting", "running"];

/** Creates a service that does nothing but run, unless the template says more. */
export async function runService(
  { client }: ServerProcess,
  spec: Omit<ServiceSpecInput, "template">,
  template: Partial<ServiceSpecInput["template"]> = {},
): Promise<void> {
  const made = await client.createService({
    ...spec,
    template: {
      image: TEST_IMAGE,
      command: ["sleep", "3600"],
      pullPolicy: "never",
      stopGraceMs: 0,
      ...template,
    },
  });
  assert(made.ok, JSON.stringify(made));
}

/** The service's live tasks. */
export async function liveTasks({ client }: ServerProcess, service: string) {
  const listed = await client.listTasks({ service });
  assert(listed.ok, JSON.stringify(listed));
  return listed.value.items.filter(({ state }) => LIVE.includes(state));
}

/** The names of the nodes of the service's live tasks, sorted. */
export async function places(server: ServerProcess, service: string): Promise<string[]> {
  return (await liveTasks(server, service)).map(({ node }) => node ?? "?").sort();
}

/** Waits until so many of its tasks run and no others are live; `where` narrows their nodes. */
export async function settled(
  server: ServerProcess,
  service: string,
  count: number,
  where: (node: string) => boolean = () => true,
): Promise<void> {
  await eventually(async () => {
    const tasks = await liveTasks(server, service);
    return tasks.length === count &&
      tasks.every(({ state, node = "" }) => state === "running" && where(node));
  }, { timeoutMs: 60_000, what: `${count} running tasks of ${service}` });
}
