/**
 * What users do: each move is one entry of the table. A move may take virtual time; moves overlap.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { RolloutCommand } from "../../kv/schema/rollout.ts";
import { DATA_MOVES } from "./data_moves.ts";
import { NODE_MOVES } from "./node_moves.ts";
import { RESTART_MOVES } from "./restart_moves.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";
import { brokenTemplate, type Kind, KINDS, replicasOf, specOf, templateOf } from "./specs.ts";
import { routesOf, updateOf, withData, withTemplate } from "./specs.ts";
import type { Known } from "./user.ts";

export interface Move {
  name: string;
  weight: number;
  run(sim: Sim, random: Random): Promise<void>;
}

const rolls = ["replicated", "global"] as const;

export const MOVES: readonly Move[] = [
  { name: "create replicated", weight: 5, run: (sim, random) => create(sim, random, "replicated") },
  { name: "create strict", weight: 2, run: (sim, random) => create(sim, random, "strict") },
  { name: "create global", weight: 2, run: (sim, random) => create(sim, random, "global") },
  { name: "create job", weight: 3, run: (sim, random) => create(sim, random, "job") },
  { name: "create cron", weight: 2, run: (sim, random) => create(sim, random, "cron") },
  {
    name: "scale",
    weight: 4,
    run: (sim, random) =>
      change(sim, random, ["replicated"], ({ spec }) => replicasOf(random, spec)),
  },
  {
    name: "roll out",
    weight: 4,
    run: (sim, random) =>
      change(sim, random, rolls, ({ spec }) => {
        const template = templateOf(random);
        const own = spec.mode?.type === "replicated" ? withData(random, template) : template;
        return withTemplate(spec, own);
      }),
  },
  {
    name: "roll out what is broken",
    weight: 2,
    run: (sim, random) =>
      change(sim, random, ["replicated"], ({ spec }) => withTemplate(spec, brokenTemplate(random))),
  },
  {
    name: "change how it is updated, its priority or its routes",
    weight: 2,
    run: (sim, random) =>
      change(sim, random, ["replicated"], ({ spec }) => ({
        ...spec,
        ...random.pick([
          () => ({ update: updateOf(random) }),
          () => ({ priority: random.pick([0, 10, -10]) }),
          () => ({ routes: routesOf(random) }),
        ])(),
      })),
  },
  {
    name: "stop or start",
    weight: 3,
    run: (sim, random) =>
      change(sim, random, undefined, ({ spec }) => ({ ...spec, stopped: !spec.stopped })),
  },
  { name: "steer a rollout", weight: 5, run: steer },
  { name: "run by hand", weight: 3, run: runByHand },
  { name: "delete", weight: 2, run: remove },
  { name: "look", weight: 1, run: look },
  ...RESTART_MOVES,
  ...DATA_MOVES,
  ...NODE_MOVES,
];

async function create(sim: Sim, random: Random, kind: Kind): Promise<void> {
  const { user } = sim;
  const { letter, names } = KINDS[kind];
  const name = `${letter}${1 + random.int(names)}`;
  const spec = specOf(kind, random, name);
  const idempotencyKey = user.newKey();
  const made = await user.ask(
    `creates ${name}`,
    (client) => client.createService(spec, { idempotencyKey }),
  );
  if (made) user.services.set(name, { spec, deleted: false });
}

/** Puts a changed spec: with an idempotency key mostly, and sometimes only at the version that was read. */
async function change(
  sim: Sim,
  random: Random,
  modes: readonly string[] | undefined,
  next: (known: Known) => ServiceSpecInput,
): Promise<void> {
  const { user } = sim;
  const found = user.pick(random, modes);
  if (!found) return;
  const [name, known] = found;
  const spec = next(known);
  known.spec = spec;
  const once = random.chance(0.8) ? { idempotencyKey: user.newKey() } : {};
  let version: string | undefined;
  if (random.chance(0.3)) {
    const read = await user.ask(`reads ${name}`, (client) => client.getService(name));
    version = read?.version;
  }
  const condition = version === undefined ? {} : { ifMatch: version };
  await user.ask(
    `changes ${name}`,
    (client) => client.putService(name, spec, { ...once, ...condition }),
  );
}

async function steer(sim: Sim, random: Random): Promise<void> {
  const found = sim.user.pick(random, ["replicated", "global", "cron"]);
  if (!found) return;
  const [name, { spec }] = found;
  const actions: RolloutCommand["action"][] = spec.mode?.type === "replicated"
    ? ["pause", "resume", "promote", "undo"]
    : ["undo"];
  const action = random.pick(actions);
  const idempotencyKey = sim.user.newKey();
  await sim.user.ask(
    `${action}s the rollout of ${name}`,
    (client) => client.steerRollout(name, { action }, undefined, { idempotencyKey }),
  );
}

async function runByHand(sim: Sim, random: Random): Promise<void> {
  const found = sim.user.pick(random, ["job", "cron"]);
  if (!found) return;
  const [name] = found;
  const idempotencyKey = sim.user.newKey();
  const request = random.chance(0.5) ? { env: { BY: "hand" } } : {};
  await sim.user.ask(
    `runs ${name}`,
    (client) => client.createRun(name, request, undefined, { idempotencyKey }),
  );
}

async function remove(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  const found = user.pick(random);
  if (!found) return;
  const [name, known] = found;
  const idempotencyKey = user.newKey();
  const gone = await user.ask(
    `deletes ${name}`,
    (client) => client.deleteService(name, undefined, { idempotencyKey }),
  );
  if (gone) known.deleted = true;
}

/** Reads what there is to read; that it changes nothing is for the checker to see. */
async function look(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  const [name] = user.pick(random) ?? [];
  if (name === undefined) return;
  await user.ask(`looks at the runs of ${name}`, (client) => client.listRuns(name, { limit: 50 }));
  await user.ask("looks at the nodes", (client) => client.listNodes({ limit: 50 }));
  const tasks = await user.ask(
    `looks at the tasks of ${name}`,
    (client) => client.listTasks({ service: name, limit: 50 }),
  );
  const waiting = tasks?.items.find(({ state }) => state === "pending");
  if (waiting) await user.ask(`asks why ${waiting.id}`, (client) => client.why(waiting.id));
}
