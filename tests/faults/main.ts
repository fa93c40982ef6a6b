/**
 * Campaigns of faults on real processes and a real engine:
 * `deno task faults kills [--kills N] [--tasks N] [--seed S] [--resume FILE]`, and
 * `deno task faults pauses [--seconds N]`.
 * The last line is one JSON object: figures, and what was found wrong.
 *
 * @module
 */
import { resolve } from "node:path";
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { engine, ensureTestImage } from "../support/engine.ts";
import { runCampaign } from "./kills/campaign.ts";
import { readProgress, saveProgress } from "../support/progress_file.ts";
import { killsOf, newProgress, Progress } from "./kills/progress.ts";
import { freeze } from "./pauses.ts";

const USAGE = `Usage: deno task faults kills|pauses [options]

kills: SIGKILLs at random moments over a server and its workers, while tasks come and go on this
machine's engine. Nothing may be lost, doubled or left behind.
  --kills N       how many (1000)
  --tasks N       how many tasks come and go meanwhile (2000)
  --workers N     besides the server (4)
  --every-ms N    mean time between two kills (1000)
  --leg N         kills until everything has to come to rest (50)
  --seed S        repeat the choices of an earlier campaign (random)
  --resume FILE   keep progress in FILE, and go on from there if it exists

pauses: SIGSTOP of the server, of a worker, and of both, with the usual TTL.
  --seconds N     how long each stands still (60)
`;
/** The server's default. */
const TTL_MS = 6000;
const SHOWN_FINDINGS = 20;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name}: must be a whole number from 1, is ${text}`);
  Deno.exit(2);
}

function figuresOf(progress: Progress) {
  const count = (kind: string) => progress.findings.filter((one) => one.kind === kind).length;
  return {
    campaign: "kills",
    seed: progress.seed,
    kills: killsOf(progress),
    serverKills: progress.kills.server,
    workerKills: progress.kills.workers,
    tasks: progress.tasks,
    starts: progress.starts,
    writes: progress.writes,
    repeatedWrites: progress.repeatedWrites,
    ...{ lost: count("lost"), doubled: count("doubled"), orphans: count("orphan") },
    legs: progress.legs,
    seconds: Math.round(progress.seconds),
    findings: progress.findings.slice(0, SHOWN_FINDINGS),
  };
}

async function kills(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      kills: { type: "string", default: "1000" },
      tasks: { type: "string", default: "2000" },
      workers: { type: "string", default: "4" },
      "every-ms": { type: "string", default: "1000" },
      leg: { type: "string", default: "50" },
      seed: { type: "string" },
      resume: { type: "string" },
    },
  });
  const found = await engine();
  if (!found.available) {
    console.error(found.reason);
    return 1;
  }
  await ensureTestImage(found.connection);
  const { resume } = values;
  const dir = resume === undefined
    ? await Deno.makeTempDir({ prefix: "berth-kills-" })
    : resolve(`${resume}.d`);
  const begun = resume === undefined ? undefined : await readProgress(resume, Progress);
  // What a campaign left behind that is not gone on with would never come to rest.
  if (!begun) await rm(dir, { recursive: true, force: true });
  await Deno.mkdir(dir, { recursive: true });
  const seed = values.seed === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 1
    : wholeNumber("seed", values.seed);
  const progress = begun ?? newProgress(seed, `kills-${crypto.randomUUID().slice(0, 8)}`);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  await runCampaign({
    ...{ connection: found.connection, dir, signal: stop.signal },
    kills: wholeNumber("kills", values.kills),
    tasks: wholeNumber("tasks", values.tasks),
    workers: wholeNumber("workers", values.workers),
    killsPerLeg: wholeNumber("leg", values.leg),
    everyMs: wholeNumber("every-ms", values["every-ms"]),
    newKey: () => crypto.randomUUID(),
    say: (line) => console.log(line),
    save: (done) => resume === undefined ? Promise.resolve() : saveProgress(resume, done),
  }, progress);
  if (resume === undefined) await Deno.remove(dir, { recursive: true });
  console.log(JSON.stringify(figuresOf(progress)));
  return progress.findings.length === 0 ? 0 : 1;
}

async function pauses(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { seconds: { type: "string", default: "60" } } });
  const seconds = wholeNumber("seconds", values.seconds);
  const found = await engine();
  if (!found.available) {
    console.error(found.reason);
    return 1;
  }
  const findings: string[] = [];
  for (const frozen of ["server", "worker", "both"] as const) {
    try {
      await freeze(found.connection, frozen, { ttlMs: TTL_MS, forMs: seconds * 1000 });
      console.log(`  ${frozen}: as it must`);
    } catch (error) {
      findings.push(`${frozen}: ${error instanceof Error ? error.message : error}`);
      console.log(`  ${findings.at(-1)}`);
    }
  }
  console.log(JSON.stringify({ campaign: "pauses", seconds, ttlMs: TTL_MS, findings }));
  return findings.length === 0 ? 0 : 1;
}

const CAMPAIGNS: Record<string, (args: string[]) => Promise<number>> = { kills, pauses };
const [name = "--help", ...rest] = Deno.args;
const campaign = CAMPAIGNS[name];
if (!campaign || rest.includes("--help")) {
  console.log(USAGE);
  Deno.exit(campaign || name === "--help" ? 0 : 2);
}
Deno.exit(await campaign(rest));
