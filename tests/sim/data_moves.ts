/**
 * What users do with configs and secrets: they store them, and store new versions.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import type { Move } from "./moves.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";
import { CONFIGS, SECRETS } from "./specs.ts";

export const DATA_MOVES: readonly Move[] = [
  {
    name: "store what tasks need",
    weight: 0,
    async run(sim, random) {
      for (const name of [...CONFIGS, ...SECRETS]) await store(sim, random, name);
    },
  },
  {
    name: "rotate",
    weight: 3,
    run: (sim, random) => store(sim, random, random.pick([...CONFIGS, ...SECRETS])),
  },
];

/** A first version, or a new one. */
async function store(sim: Sim, random: Random, name: string): Promise<void> {
  const { user } = sim;
  const value = `${name} is ${random.int(1_000_000)}`;
  const data = encodeBase64(new TextEncoder().encode(value));
  const idempotencyKey = user.newKey();
  const kind = CONFIGS.some((config) => config === name) ? "Config" : "Secret";
  const first = !user.stored.has(name);
  user.stored.add(name);
  const ask = (client: Client) =>
    first
      ? client[`create${kind}`]({ name, data }, { idempotencyKey })
      : client[`rotate${kind}`](name, { data }, undefined, { idempotencyKey });
  await user.ask(first ? `stores ${name}` : `rotates ${name}`, ask);
}
