/**
 * What users do: each move is one entry of the table. A move may take virtual time; moves overlap.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";
import type { Known } from "./user.ts";

export interface Move {
  name: string;
  weight: number;
  run(sim: Sim, random: Random): Promise<void>;
}

type Template = ServiceSpecInput["template"];

/** Of each kind. */
const MAX_NAMES = 4;
const MAX_NODES = 5;

export const MOVES: readonly Move[] = [
  { name: "create replicated", weight: 5, run: (sim, random) => create(sim, random, replicated) },
  { name: "create job", weight: 4, run: (sim, random) => create(sim, random, job) },
  {
    name: "scale",
    weight: 5,
    run: (sim, random) =>
      change(sim, random, "replicated", ({ spec }) => ({
        ...spec,
        mode: { type: "replicated", replicas: random.int(5) },
      })),
  },
  {
    name: "roll out",
    weight: 3,
    run: (sim, random) =>
      change(sim, random, "replicated", ({ spec }) => ({
        ...spec,
        template: replicatedTemplate(random),
      })),
  },
  {
    name: "stop or start",
    weight: 3,
    run: (sim, random) =>
      change(sim, random, undefined, ({ spec }) => ({ ...spec, stopped: !spec.stopped })),
  },
  { name: "delete", weight: 2, run: remove },
  { name: "cordon or activate", weight: 3, run: cordon },
  { name: "drain", weight: 1, run: (sim, random) => setAvailability(sim, random, "drain") },
  { name: "add a node", weight: 1, run: addNode },
];

function replicatedTemplate(random: Random): Template {
  return {
    image: random.pick(["app:1", "app:2"]),
    env: { V: String(random.int(1000)) },
    reserve: { cpus: random.pick([0, 0.25, 0.5, 1]), memoryMiB: random.pick([0, 128, 512]) },
    ports: random.chance(0.3)
      ? [{ target: 80, published: random.pick([8080, 8081]), mode: "host" }]
      : random.chance(0.2)
      ? [{ target: 80 }]
      : [],
    placement: random.chance(0.2) ? { labels: { zone: random.pick(["a", "b"]) } } : {},
    restart: { condition: "any", maxAttempts: random.int(3), maxDelayMs: 2000 },
    stopGraceMs: 500,
  };
}

function replicated(random: Random, name: string): ServiceSpecInput {
  return {
    name,
    mode: { type: "replicated", replicas: random.int(5) },
    template: replicatedTemplate(random),
    // What breaks here is the world's fault: a rollout is to end nevertheless.
    update: {
      failureAction: "continue",
      order: random.pick(["stop-first", "start-first"]),
      parallelism: random.int(3),
      drainMs: 100,
    },
  };
}

function job(random: Random, name: string): ServiceSpecInput {
  return {
    name,
    mode: {
      type: "job",
      completions: 1 + random.int(4),
      parallelism: 1 + random.int(3),
      retries: random.int(4),
      ...(random.chance(0.2) ? { removeAfterMs: random.int(10_000) } : {}),
    },
    template: {
      image: "app:1",
      env: {
        SIM_RUN_MS: String(random.int(6000)),
        SIM_EXIT: random.chance(0.15) ? "1" : "0",
      },
      reserve: { cpus: random.pick([0, 0.25, 0.5]), memoryMiB: random.pick([0, 128]) },
      restart: {
        condition: random.pick(["none", "on-failure"]),
        maxAttempts: random.int(2),
        maxDelayMs: 2000,
      },
      stopGraceMs: 500,
    },
  };
}

async function create(
  sim: Sim,
  random: Random,
  make: (random: Random, name: string) => ServiceSpecInput,
): Promise<void> {
  const { user } = sim;
  // Names by kind: what becomes of tasks when a service changes its kind is not settled.
  const name = `${make === job ? "j" : "s"}${1 + random.int(MAX_NAMES)}`;
  const spec = make(random, name);
  const idempotencyKey = user.newKey();
  const made = await user.ask(
    `creates ${name}`,
    (client) => client.createService(spec, { idempotencyKey }),
  );
  if (made) user.services.set(name, { spec, deleted: false });
}

function pickService(sim: Sim, random: Random, mode?: string): [string, Known] | undefined {
  const known = [...sim.user.services].filter(([, { spec, deleted }]) =>
    !deleted && (mode === undefined || spec.mode?.type === mode)
  );
  return known.length === 0 ? undefined : random.pick(known);
}

/** Puts a changed spec: with an idempotency key mostly, and sometimes only at the version that was read. */
async function change(
  sim: Sim,
  random: Random,
  mode: string | undefined,
  next: (known: Known) => ServiceSpecInput,
): Promise<void> {
  const { user } = sim;
  const found = pickService(sim, random, mode);
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

async function remove(sim: Sim, random: Random): Promise<void> {
  const { user } = sim;
  const found = pickService(sim, random);
  if (!found) return;
  const [name, known] = found;
  const idempotencyKey = user.newKey();
  const gone = await user.ask(
    `deletes ${name}`,
    (client) => client.deleteService(name, undefined, { idempotencyKey }),
  );
  if (gone) known.deleted = true;
}

async function cordon(sim: Sim, random: Random): Promise<void> {
  await setAvailability(sim, random, random.pick(["cordon", "active", "active"]));
}

async function setAvailability(
  sim: Sim,
  random: Random,
  availability: "active" | "cordon" | "drain",
): Promise<void> {
  const { user } = sim;
  const joined = sim.nodes.filter((node) => node.nodeId !== undefined);
  if (joined.length === 0) return;
  const { name } = random.pick(joined);
  const idempotencyKey = user.newKey();
  await user.ask(
    `sets ${name} to ${availability}`,
    (client) => client.putNodeSpec(name, { labels: {}, availability }, { idempotencyKey }),
  );
}

function addNode(sim: Sim, random: Random): Promise<void> {
  if (sim.nodes.length < MAX_NODES) sim.addNode(machineOf(random));
  return Promise.resolve();
}

/** A machine as nodes have them. */
export function machineOf(random: Random) {
  return {
    cpus: random.pick([1, 2, 4]),
    memoryMiB: random.pick([1024, 2048]),
    labels: { zone: random.pick(["a", "b"]) },
  };
}
