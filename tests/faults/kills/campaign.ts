/**
 * SIGKILLs at random moments over a server and its workers, while tasks come and go on a real engine.
 *
 * 1. A campaign is made of legs. In each, processes are killed and started again while a user keeps
 *    changing their mind; then the killing stops, everything must come to rest, and the evidence is
 *    audited. Then all is deleted, and no container may be left.
 * 2. Whoever is killed is down for less than the nodes' TTL, so no task may be given up: each loss and
 *    each double is a finding.
 * 3. Progress is saved after each leg. A campaign that is taken up again goes on with the next leg, on
 *    the same database and with the same nodes.
 *
 * @module
 */
import { systemClock } from "../../../kv/schema/time.ts";
import type { EngineConnection } from "../../../worker/docker/connect.ts";
import { createRandom, type Random } from "../../sim/random.ts";
import { eventually } from "../../support/eventually.ts";
import { audit, type Finding } from "./audit.ts";
import { type Churn, createChurn } from "./churn.ts";
import { type Fleet, SERVER, startFleet } from "./fleet.ts";
import { killsOf, type Progress } from "./progress.ts";
import { record, type Recorder } from "./recorder.ts";

export interface CampaignOptions {
  connection: EngineConnection;
  /** Where the server and the workers keep their data. */
  dir: string;
  kills: number;
  /** Counted when the engine starts the first container of one. */
  tasks: number;
  workers: number;
  killsPerLeg: number;
  /** Mean time between two kills. */
  everyMs: number;
  newKey: () => string;
  say: (line: string) => void;
  /** Called after each leg. */
  save: (progress: Progress) => Promise<void>;
  signal: AbortSignal;
}

/** Longer than anybody is ever down, on a busy machine too. */
const TTL_MS = 60_000;
const REST_MS = 180_000;
const LOG_EVERY_MS = 500;
const DOWN_MS = { min: 0, max: 1500 } as const;
const MAX_SERVICES = 10;
/** Between two wishes at the most, so that some come true before the next. */
const STEP_MS = 600;
/** The server dies as often as so many workers. */
const SERVER_WEIGHT = 2;

interface Leg {
  fleet: Fleet;
  recorder: Recorder;
  churn: Churn;
  random: Random;
  /** Goals of this leg alone. */
  kills: number;
  tasks: number;
  options: CampaignOptions;
}

/** Runs legs until the numbers are reached; `progress` is changed as it goes. */
export async function runCampaign(options: CampaignOptions, progress: Progress): Promise<void> {
  const { connection, dir, workers, say, save, signal } = options;
  const { project } = progress;
  const fleet = await startFleet({ dir, workers, ttlMs: TTL_MS });
  const recorder = await record(connection, { client: fleet.client, project });
  try {
    await clear(fleet, recorder, project);
    while (!signal.aborted && !isDone(options, progress)) {
      const beganMs = performance.now();
      recorder.forget();
      const n = progress.legs + 1;
      const random = createRandom(progress.seed, `leg ${n}`);
      const churn = createChurn({
        ...{ client: fleet.client, random, project, newKey: options.newKey, signal },
        ...{ prefix: `s${n}`, maxServices: MAX_SERVICES },
      });
      const goals = goalsOf(options, progress);
      const leg: Leg = { fleet, recorder, churn, random, options, ...goals };
      const kills = await disturb(leg);
      if (signal.aborted) return;
      const findings = await rest(leg);
      if (signal.aborted) return;
      await churn.deleteAll();
      findings.push(...await nothingLeft(leg, project));
      if (signal.aborted) return;
      progress.legs = n;
      progress.kills.server += kills.server;
      progress.kills.workers += kills.workers;
      progress.tasks += recorder.tasks();
      progress.writes += churn.writes();
      progress.repeatedWrites += churn.repeated();
      progress.starts += recorder.starts();
      progress.seconds += (performance.now() - beganMs) / 1000;
      progress.findings.push(...findings);
      await save(progress);
      say(
        `  leg ${n}: ${killsOf(progress)} kills, ${progress.tasks} tasks, ` +
          `${progress.starts} starts, ${Math.round(progress.seconds)} s, ` +
          `${progress.findings.length} findings`,
      );
      for (const { kind, what } of findings) say(`    ${kind}: ${what}`);
    }
  } finally {
    // Not by the server: an interrupt in a terminal reaches it as well.
    await fleet.close();
    await recorder.removeAll();
    await recorder.close();
  }
}

function isDone({ kills, tasks }: CampaignOptions, progress: Progress): boolean {
  return killsOf(progress) >= kills && progress.tasks >= tasks;
}

/** A leg's share of what is left: kills by the leg's size, tasks in proportion. */
function goalsOf(options: CampaignOptions, progress: Progress): { kills: number; tasks: number } {
  const left = Math.max(0, options.kills - killsOf(progress));
  const kills = Math.min(options.killsPerLeg, left);
  const legsLeft = Math.max(1, Math.ceil(left / options.killsPerLeg));
  return { kills, tasks: Math.ceil(Math.max(0, options.tasks - progress.tasks) / legsLeft) };
}

/** Kills and changes at the same time, until both goals are reached; answers the kills. */
async function disturb(leg: Leg): Promise<Progress["kills"]> {
  const { churn, recorder, random, options: { everyMs, signal } } = leg;
  const kills = { server: 0, workers: 0 };
  const restarts: Promise<void>[] = [];
  const over = new AbortController();

  async function killing(): Promise<void> {
    while (kills.server + kills.workers < leg.kills && !over.signal.aborted && !signal.aborted) {
      await systemClock.sleep(-everyMs * Math.log(1 - random.next()));
      const alive = leg.fleet.alive();
      if (alive.length === 0) continue;
      const weights = alive.map((name) => ({ name, weight: name === SERVER ? SERVER_WEIGHT : 1 }));
      const { name } = random.weighted(weights);
      const downMs = random.between(DOWN_MS.min, DOWN_MS.max);
      await leg.fleet.kill(name);
      kills[name === SERVER ? "server" : "workers"]++;
      restarts.push(systemClock.sleep(downMs).then(() => leg.fleet.start(name)));
    }
  }

  async function changing(): Promise<void> {
    const killed = () => kills.server + kills.workers;
    while ((killed() < leg.kills || recorder.tasks() < leg.tasks) && !signal.aborted) {
      const ahead = recorder.tasks() / Math.max(1, leg.tasks) > killed() / Math.max(1, leg.kills);
      if (ahead && killed() < leg.kills) await systemClock.sleep(random.between(50, 300));
      else {
        await churn.step();
        await systemClock.sleep(random.between(0, STEP_MS));
      }
    }
  }

  async function logging(): Promise<void> {
    while (!over.signal.aborted) {
      await recorder.readLog();
      await systemClock.sleep(LOG_EVERY_MS);
    }
  }

  const log = logging();
  try {
    await Promise.all([killing(), changing()]);
  } finally {
    over.abort();
    await log;
    await Promise.all(restarts);
  }
  return kills;
}

/** Waits until nothing is to be found any more, or for so long that what is found stands. */
async function rest({ fleet, recorder, churn, options: { signal } }: Leg): Promise<Finding[]> {
  const untilMs = performance.now() + REST_MS;
  while (true) {
    const evidence = await recorder.evidence();
    const wanted = churn.wanted();
    const findings: Finding[] = evidence
      ? audit({ ...evidence, wanted, kinds: churn.kinds })
      : [{ kind: "lost", what: "the server does not answer" }];
    for (const [name, words] of fleet.ended()) {
      findings.push({ kind: "lost", what: `${name} ended by itself: ${words}` });
    }
    if (findings.length === 0 || signal.aborted) return findings;
    if (performance.now() > untilMs) return findings;
    if (findings.every(({ kind }) => kind === "doubled")) return findings;
    await systemClock.sleep(LOG_EVERY_MS);
  }
}

/** After everything was deleted. */
async function nothingLeft({ fleet, recorder }: Leg, project: string): Promise<Finding[]> {
  if (await isEmpty(fleet, recorder, project, REST_MS)) return [];
  const left = await recorder.present();
  const services = await fleet.client.listServices({ project });
  return [
    ...left.map((c): Finding => ({
      kind: "orphan",
      what: `${c.service}.${c.slot}: container ${c.containerId} is left after all was deleted`,
    })),
    ...(services.ok ? services.value.items : []).map((s): Finding => ({
      kind: "orphan",
      what: `service ${s.name} is left after all was deleted`,
    })),
  ];
}

/** Deletes what there is of the project; for what a former campaign left. */
async function clear(fleet: Fleet, recorder: Recorder, project: string): Promise<void> {
  const services = await eventually(async () => {
    const listed = await fleet.client.listServices({ project, limit: 500 });
    return listed.ok ? listed.value.items : undefined;
  }, { timeoutMs: REST_MS, what: "the server to answer" });
  for (const { name } of services) await fleet.client.deleteService(name, project);
  if (await isEmpty(fleet, recorder, project, REST_MS)) return;
  throw new Error(`project ${project} could not be cleared`);
}

async function isEmpty(
  fleet: Fleet,
  recorder: Recorder,
  project: string,
  patienceMs: number,
): Promise<boolean> {
  const untilMs = performance.now() + patienceMs;
  while (true) {
    const services = await fleet.client.listServices({ project });
    const gone = services.ok && services.value.items.length === 0;
    if (gone && (await recorder.present()).length === 0) return true;
    if (performance.now() > untilMs) return false;
    await systemClock.sleep(100);
  }
}
