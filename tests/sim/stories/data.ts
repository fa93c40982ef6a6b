/**
 * A story about a config that is rotated, and a volume that tasks have to follow.
 *
 * @module
 */
import { encodeBase64 } from "../../../kv/schema/base64.ts";
import type { Story } from "../run.ts";
import type { Sim } from "../sim.ts";
import { ask, create, MACHINE, put, running, serviceOf, until } from "./story.ts";

export const DATA: Story = {
  replicas: 1,
  nodes: [MACHINE, MACHINE, MACHINE],
  async run(sim) {
    await store(sim, "one");
    const { template } = serviceOf("s1");
    await create(
      sim,
      serviceOf("s1", {
        template: {
          ...template,
          configs: [{ source: "k1" }],
          mounts: [{ type: "volume", source: "v1", target: "/data" }],
        },
      }),
    );
    await until(sim, "s1 runs", () => running(sim, "s1").length === 1);
    await put(sim, "s1", { mode: { type: "replicated", replicas: 2 } });
    await until(sim, "both of s1 run", () => running(sim, "s1").length === 2);
    await store(sim, "two");
    await sim.pass(16_000);
  },
};

/** Stores a version of the config `k1`. */
async function store(sim: Sim, value: string): Promise<void> {
  const { user } = sim;
  const data = encodeBase64(new TextEncoder().encode(value));
  const idempotencyKey = user.newKey();
  const known = user.stored.get("k1");
  const made = await ask(
    sim,
    `stores ${value}`,
    (client) =>
      known === undefined
        ? client.createConfig({ name: "k1", data }, { idempotencyKey })
        : client.rotateConfig(known, { data }, undefined, { idempotencyKey }),
  );
  user.stored.set("k1", made.id);
}
