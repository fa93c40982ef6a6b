/**
 * Runs many seeds, in one thread or several, and counts what comes of them. A count can be kept in a file
 * and gone on with: it is of one code, one range of seeds and one set of flags.
 *
 * @module
 */
import { z } from "zod";
import { readProgress, saveProgress } from "../support/progress_file.ts";
import { codeDigest, commitId } from "./code.ts";
import type { JobAnswer, JobRequest } from "./job.ts";
import { commandFor, type Settings, settingsToOptions } from "./options.ts";
import { runSeed } from "./run.ts";

export const Count = z.object({
  /** Checked out when the count began. */
  commit: z.string(),
  /** See code.ts. */
  code: z.string(),
  settings: z.record(z.string(), z.string()),
  from: z.int().min(1),
  /** All seeds below it are done. */
  next: z.int().min(1),
  broken: z.array(z.object({ seed: z.int(), problem: z.string() })),
  /** Of all processes that worked on it. */
  seconds: z.number().min(0),
});
export type Count = z.infer<typeof Count>;

export interface CampaignOptions {
  from: number;
  count: number;
  jobs: number;
  /** The file that keeps the count. */
  resume?: string | undefined;
  print: (line: string) => void;
}

/** Seeds between two lines that say how far a long run is, and between two writes of its file. */
const TELL_EVERY = 250;
const SAVE_EVERY = 20;

/** Runs the seeds; answers the count, or why it cannot be gone on with. */
export async function runCampaign(
  options: CampaignOptions,
  settings: Settings,
): Promise<Count | string> {
  const { from, count, jobs, resume, print } = options;
  const begun = await begin(options, settings);
  if (typeof begun === "string") return begun;
  if (begun.next > from) print(`going on from seed ${begun.next} of ${resume}`);
  const keeper = createKeeper(begun, options, settings);
  let next = begun.next;
  const take = () => next < from + count ? next++ : undefined;
  if (jobs === 1) {
    const how = settingsToOptions(settings);
    for (let seed = take(); seed !== undefined; seed = take()) {
      const { problem } = await runSeed({ ...how, seed });
      await keeper.note({ seed, ...(problem === undefined ? {} : { problem }) });
    }
  } else {
    await Promise.all(Array.from({ length: jobs }, () => runJob(take, settings, keeper.note)));
  }
  return await keeper.save();
}

/** The last line of a campaign. */
export function summaryOf({ commit, code, from, next, broken, seconds }: Count): string {
  const done = next - from;
  const perSeedMs = done === 0 ? 0 : Math.round(seconds * 1000 / done);
  return `${done - broken.length} seeds held, ${broken.length} broke (${from} to ${next - 1}), ` +
    `${perSeedMs} ms a seed; commit ${commit}, code ${code}`;
}

async function begin(
  { from, resume }: CampaignOptions,
  settings: Settings,
): Promise<Count | string> {
  const [commit, code] = [await commitId(), await codeDigest()];
  const fresh = {
    commit,
    code,
    settings: { ...settings },
    from,
    next: from,
    broken: [],
    seconds: 0,
  };
  const known = resume === undefined ? undefined : await readProgress(resume, Count);
  if (!known) return Count.parse(fresh);
  const same = (of: Count) =>
    JSON.stringify([of.code, of.from, Object.entries(of.settings).sort()]);
  if (same(known) === same(Count.parse(fresh))) return known;
  return `--resume: ${resume} counts seeds from ${known.from} of code ${known.code} with ` +
    `${JSON.stringify(known.settings)}; this is code ${code}, from ${from}, with ` +
    `${JSON.stringify(settings)}. Name another file to begin anew`;
}

/** Counts in the order of the seeds, though threads end in any. */
function createKeeper(
  begun: Count,
  { from, count: seeds, resume, print }: CampaignOptions,
  settings: Settings,
) {
  const count = { ...begun, broken: [...begun.broken] };
  const early = new Map<number, JobAnswer>();
  const beganMs = performance.now();
  let saved = Promise.resolve();
  const save = async (): Promise<Count> => {
    const seconds = begun.seconds + (performance.now() - beganMs) / 1000;
    const now = { ...count, broken: [...count.broken], seconds: Math.round(seconds * 10) / 10 };
    // One write at a time: threads end side by side.
    if (resume !== undefined) await (saved = saved.then(() => saveProgress(resume, now)));
    return now;
  };
  const note = async (answer: JobAnswer): Promise<void> => {
    early.set(answer.seed, answer);
    for (let one = early.get(count.next); one; one = early.get(count.next)) {
      early.delete(count.next++);
      if (one.problem !== undefined) {
        count.broken.push({ seed: one.seed, problem: one.problem });
        print(`seed ${one.seed} broke: ${one.problem}`);
        print(`  repeat it with: ${commandFor(one.seed, settings)}`);
      }
      const done = count.next - from;
      if (done % TELL_EVERY === 0) print(`${done} of ${seeds} seeds, ${count.broken.length} broke`);
      if (done % SAVE_EVERY === 0 || one.problem !== undefined) await save();
    }
  };
  return { note, save };
}

/** One thread, until there are no more seeds. */
function runJob(
  take: () => number | undefined,
  settings: Settings,
  note: (answer: JobAnswer) => Promise<void>,
): Promise<void> {
  const worker = new Worker(new URL("./job.ts", import.meta.url).href, { type: "module" });
  return new Promise((resolve, reject) => {
    const give = () => {
      const seed = take();
      if (seed === undefined) {
        worker.terminate();
        return resolve();
      }
      const request: JobRequest = { seed, settings };
      worker.postMessage(request);
    };
    worker.onmessage = ({ data }: MessageEvent<JobAnswer>) => {
      note(data).then(give, reject);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`a thread of the simulation broke: ${event.message}`));
    };
    give();
  });
}
