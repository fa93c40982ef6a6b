/**
 * A story about what users do to what there is: tasks and services are restarted, credentials stored, a
 * tag moved, a config removed that is in use and one that is not, and two services want one route.
 *
 * @module
 */
import { encodeBase64 } from "../../../kv/schema/base64.ts";
import type { Client, Result } from "../../../api/client.ts";
import { Detour, type Story } from "../run.ts";
import type { Sim } from "../sim.ts";
import { TAGGED } from "../specs.ts";
import { ask, create, MACHINE, put, running, serviceOf, until } from "./story.ts";

const ROUTES = [{ host: "a.example.com", path: "/api", port: 80, tls: "plain" as const }];

export const OPERATIONS: Story = {
  replicas: 1,
  nodes: [MACHINE, MACHINE],
  async run(sim) {
    for (const name of ["k1", "k2"]) {
      const data = encodeBase64(new TextEncoder().encode(name));
      await ask(sim, `stores ${name}`, (client) => client.createConfig({ name, data }));
    }
    const login = { username: "u1", password: "p1" };
    await ask(sim, "logs in", (client) => client.putRegistry("docker.io", login));
    const { template } = serviceOf("s1");
    const own = { ...template, ports: [{ target: 80 }], configs: [{ source: "k1" }] };
    await create(
      sim,
      serviceOf("s1", {
        mode: { type: "replicated", replicas: 2 },
        template: own,
        routes: ROUTES,
      }),
    );
    await until(sim, "s1 runs", () => running(sim, "s1").length === 2);
    // It has to be pulled, with the credentials.
    await create(sim, serviceOf("s2", { template: { ...template, image: "app:2" } }));
    const tagged = { ...template, image: TAGGED, placement: { maxPerNode: 1 } };
    await create(sim, serviceOf("s4", { template: tagged }));
    await until(sim, "s4 runs", () => running(sim, "s4").length === 1);
    sim.push(TAGGED, 1);
    await put(sim, "s4", { mode: { type: "replicated", replicas: 2 } });
    await until(sim, "s4 runs twice", () => running(sim, "s4").length === 2);
    await refused(sim, "routes s3", (client) =>
      client.createService(
        serviceOf("s3", {
          template: own,
          routes: ROUTES.map((route) => ({ ...route, path: "/API" })),
        }),
      ));
    await restart(sim);
    await refused(sim, "removes k1", (client) => client.deleteConfig("k1"));
    await done(sim, "removes k2", (client) => client.deleteConfig("k2"));
    await sim.pass(6_000);
  },
};

async function restart(sim: Sim): Promise<void> {
  const [first] = running(sim, "s1");
  if (!first) throw new Detour("s1 does not run");
  const { id } = first.task;
  await done(sim, "restarts a task", (client) => client.restartTask(id));
  await until(sim, "it is replaced", () => {
    const tasks = running(sim, "s1");
    return tasks.length === 2 && tasks.every(({ task }) => task.id !== id);
  });
  await ask(sim, "restarts s1", (client) => client.steerRollout("s1", { action: "restart" }));
  await until(sim, "all are replaced", () => {
    const tasks = running(sim, "s1");
    return tasks.length === 2 && tasks.every(({ task }) => task.revision === 2);
  });
}

/** Asks for what is answered with nothing. */
async function done(
  sim: Sim,
  what: string,
  request: (client: Client) => Promise<Result<undefined>>,
): Promise<void> {
  await ask(sim, what, async (client) => {
    const answer = await request(client);
    return answer.ok ? { ok: true, value: true } : answer;
  });
}

/** Asks for what must not be. */
async function refused(
  sim: Sim,
  what: string,
  request: (client: Client) => Promise<Result<unknown>>,
): Promise<void> {
  await ask(sim, what, async (client) => {
    const { ok } = await request(client);
    return { ok: true, value: { ok } };
  });
}
