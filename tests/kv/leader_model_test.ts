import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createElector, type Elector, type Lease } from "../../kv/leader.ts";
import type { Kv } from "../../kv/store.ts";
import { idOf } from "../support/ids.ts";
import { inTurn, onEachStore, wipe } from "../support/stores.ts";

const TTL_MS = 3000;
const REPLICAS = 3;
const WRITTEN = ["written"];

interface Replica {
  elector: Elector;
  pass(ms: number): void;
}

function replicaOf(kv: Kv, n: number): Replica {
  // Nobody's clock says what another's does.
  const time = { ms: n * 1_000_000 };
  const clock = { wallMs: () => 0, monoMs: () => time.ms, sleep: () => Promise.resolve() };
  const elector = createElector({
    ...{ kv, clock, replicaId: idOf(n), exclusive: false, ttlMs: TTL_MS, nodeTtlMs: () => 6000 },
  });
  return { elector, pass: (ms) => time.ms += ms };
}

/** A leader's commit, as the scheduler makes them; true when it went through. */
async function write(kv: Kv, lease: Lease): Promise<boolean> {
  return (await kv.atomic().check(lease.guard).set(WRITTEN, lease.epoch).commit()).ok;
}

/** What the lease is, told by who holds it and for how long each has seen it stand still. */
interface Model {
  epoch: number;
  /** The holder of the newest epoch; undefined before the first, and once it resigned. */
  holder: number | undefined;
  replicas: {
    epoch: number | undefined;
    sinceBeatMs: number;
    stillMs: number | undefined;
  }[];
}

interface Real {
  kv: Kv;
  replicas: Replica[];
  leases: (Lease | undefined)[];
}

type Command = fc.AsyncCommand<Model, Real>;

/** Everybody who watches sees the holder's row change. */
function beaten(model: Model): void {
  for (const replica of model.replicas) replica.stillMs = undefined;
}

function campaignOf(model: Model, n: number): boolean {
  const me = model.replicas[n];
  assert(me);
  if (me.epoch !== undefined) {
    if (me.sinceBeatMs < TTL_MS / 3) return true;
    if (me.epoch === model.epoch) {
      me.sinceBeatMs = 0;
      beaten(model);
      return true;
    }
    me.epoch = undefined;
    me.stillMs = undefined;
    return false;
  }
  me.stillMs ??= 0;
  if (model.holder !== undefined && me.stillMs < TTL_MS) return false;
  model.epoch++;
  model.holder = n;
  Object.assign(me, { epoch: model.epoch, sinceBeatMs: 0 });
  beaten(model);
  return true;
}

const campaign = (n: number): Command => ({
  check: () => true,
  toString: () => `campaign ${n}`,
  async run(model, real) {
    const expected = campaignOf(model, n);
    const answer = await real.replicas[n]?.elector.campaign();
    assertEquals(answer?.leads, expected);
    real.leases[n] = answer?.leads ? answer.lease : undefined;
    assertEquals(real.leases[n]?.epoch, model.replicas[n]?.epoch);
  },
});

const pass = (n: number, ms: number): Command => ({
  check: () => true,
  toString: () => `${ms} ms pass for ${n}`,
  run(model, real) {
    real.replicas[n]?.pass(ms);
    const me = model.replicas[n];
    if (me) me.sinceBeatMs += ms;
    if (me?.stillMs !== undefined) me.stillMs += ms;
    return Promise.resolve();
  },
});

const commit = (n: number): Command => ({
  check: (model) => model.replicas[n]?.epoch !== undefined,
  toString: () => `commit ${n}`,
  async run(model, real) {
    const lease = real.leases[n];
    assert(lease);
    assertEquals(await write(real.kv, lease), lease.epoch === model.epoch);
  },
});

const resign = (n: number): Command => ({
  check: () => true,
  toString: () => `resign ${n}`,
  async run(model, real) {
    await real.replicas[n]?.elector.resign();
    real.leases[n] = undefined;
    const me = model.replicas[n];
    if (me?.epoch !== undefined && me.epoch === model.epoch) {
      model.holder = undefined;
      beaten(model);
    }
    if (me) me.epoch = undefined;
  },
});

const crash = (n: number): Command => ({
  check: () => true,
  toString: () => `crash ${n}`,
  run(model, real) {
    real.replicas[n] = replicaOf(real.kv, n + 1);
    real.leases[n] = undefined;
    model.replicas[n] = { epoch: undefined, sinceBeatMs: 0, stillMs: undefined };
    return Promise.resolve();
  },
});

const who = fc.nat({ max: REPLICAS - 1 });
const COMMANDS = [
  who.map(campaign),
  who.map(campaign),
  who.map(commit),
  who.map(commit),
  fc.tuple(who, fc.constantFrom(500, 1000, TTL_MS - 1, TTL_MS)).map(([n, ms]) => pass(n, ms)),
  who.map(resign),
  who.map(crash),
];

onEachStore(
  "whoever campaigns, waits, resigns or dies: the lease is what its model is",
  async (kv) => {
    await fc.assert(
      fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 60 }), async (commands) => {
        await wipe(kv);
        const replicas = Array.from({ length: REPLICAS }, (_, n) => replicaOf(kv, n + 1));
        await fc.asyncModelRun(() => ({
          model: {
            ...{ epoch: 0, holder: undefined },
            replicas: replicas.map(() => ({
              ...{ epoch: undefined, sinceBeatMs: 0, stillMs: undefined },
            })),
          },
          real: { kv, replicas, leases: [] },
        }), commands);
      }),
      { numRuns: 60 },
    );
  },
);

onEachStore(
  "in whatever order their calls arrive, no deposed leader writes after its successor",
  async (kv) => {
    const steps = fc.array(fc.constantFrom(500, 1000, TTL_MS), { minLength: 3, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(steps, { minLength: 3, maxLength: 3 }),
        async (scheduler, plans) => {
          await wipe(kv);
          const ordered = inTurn(kv, scheduler);
          const written: { epoch: number; versionstamp: string }[] = [];
          const elected: number[] = [];
          const lives = plans.map(async (plan, n) => {
            const { elector, pass } = replicaOf(ordered, n + 1);
            for (const ms of plan) {
              const campaign = await elector.campaign();
              if (campaign.leads) {
                const { lease } = campaign;
                if (campaign.elected) elected.push(lease.epoch);
                const op = ordered.atomic().check(lease.guard).set(WRITTEN, lease.epoch);
                const done = await op.commit();
                if (done.ok) written.push({ ...done, epoch: lease.epoch });
                else elector.deposed();
              }
              pass(ms);
            }
          });
          await scheduler.waitFor(Promise.all(lives));
          // Answers may overtake one another; the order is that of the database.
          const epochs = written.toSorted((a, b) => a.versionstamp < b.versionstamp ? -1 : 1)
            .map(({ epoch }) => epoch);
          assertEquals(epochs, epochs.toSorted((a, b) => a - b));
          assertEquals(new Set(elected).size, elected.length, "each epoch has one leader");
        },
      ),
      { numRuns: 40 },
    );
  },
);
