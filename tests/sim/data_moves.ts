/**
 * What users do with configs and secrets, they store them, store new versions and remove them, and with
 * registries: they store credentials, and push images.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import type { Move } from "./moves.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";
import { CONFIGS, SECRETS, TAGGED } from "./specs.ts";

/** Where images without a registry in their names come from. */
const REGISTRY = "docker.io";

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
  { name: "remove a config or secret", weight: 2, run: remove },
  { name: "log in to a registry, or out of it", weight: 1, run: logIn },
  {
    name: "push an image",
    weight: 2,
    run(sim, random) {
      sim.push(TAGGED, random.int(1000));
      return Promise.resolve();
    },
  },
];

/** A first version, or a new one. */
async function store(sim: Sim, random: Random, name: string): Promise<void> {
  const { user } = sim;
  const value = `${name} is ${random.int(1_000_000)}`;
  const data = encodeBase64(new TextEncoder().encode(value));
  const idempotencyKey = user.newKey();
  const kind = kindOf(name);
  const known = user.stored.get(name);
  const ask = (client: Client) =>
    known === undefined
      ? client[`create${kind}`]({ name, data }, { idempotencyKey })
      : client[`rotate${kind}`](known, { data }, undefined, { idempotencyKey });
  const made = await user.ask(known === undefined ? `stores ${name}` : `rotates ${name}`, ask);
  if (made) user.stored.set(name, made.id);
}

/** By its id: repeated late, it must not hit what was stored anew under the name. */
async function remove(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  const [name, id] = user.stored.size === 0 ? [] : random.pick([...user.stored]);
  if (name === undefined || id === undefined) return;
  const gone = await user.ask(
    `removes ${name}`,
    async (client) => {
      const removed = await client[`delete${kindOf(name)}`](id);
      const isGone = !removed.ok && removed.error.kind === "problem" &&
        removed.error.problem.status === 404;
      return removed.ok || isGone ? { ok: true as const, value: true } : removed;
    },
  );
  if (gone) user.stored.delete(name);
}

function kindOf(name: string): "Config" | "Secret" {
  return CONFIGS.some((config) => config === name) ? "Config" : "Secret";
}

async function logIn(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  if (random.chance(0.3)) {
    await user.ask("logs out", (client) => client.deleteRegistry(REGISTRY));
    return;
  }
  const login = { username: random.pick(["u1", "u2"]), password: `p${random.int(1_000_000)}` };
  await user.ask(`logs in as ${login.username}`, (client) => client.putRegistry(REGISTRY, login));
}
