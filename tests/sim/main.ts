/**
 * Runs simulations: `deno task sim --help`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type CampaignOptions, runCampaign, summaryOf } from "./campaign.ts";
import { commandFor, type Settings, settingsProblem, settingsToOptions } from "./options.ts";
import { PLANTS } from "./plants.ts";
import { type RunResult, runSeed } from "./run.ts";
import { formatSteps } from "./script.ts";
import { shrink } from "./shrink.ts";

const USAGE = `Usage: deno task sim [options]

Simulates clusters in which things go wrong, one for each seed, and checks what comes of them.

  --seeds N         how many (default 50), --from S: from which one on (default 1)
  --seed S          this one; if it fails, it is shortened and its history shown
  --jobs N          so many at a time, each in a thread of its own (default 1)
  --resume FILE     keep the count in FILE, and go on from there if it exists
  --faults KINDS    all, none, or process,network,database,disk,clock,engine,container,loss,poison;
                    each seed has some of them by default
  --mode MODE       resident or request-driven; each seed has its own by default
  --database KIND   model or real; by default every tenth seed has the real one
  --steps LIST      of the script only these steps, like 1-5,9
  --plant BUG       with this bug built in
  --plants          how soon the scripts of seeds from --from on show each planted bug, --seeds at the most
  --history         show the whole history
`;

/** Lines of a history that say how it ended. */
const TAIL = 60;

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...{ seeds: text, seed: text, from: text, jobs: text, resume: text },
      ...{ faults: text, mode: text, plant: text, steps: text, database: text },
      history: { type: "boolean", default: false },
      plants: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { seed, seeds = "50", from = "1", jobs = "1", resume, history, plants, help: _, ...rest } =
    values;
  const settings: Settings = rest;
  const problem = settingsProblem(settings) ?? [["seeds", seeds], ["from", seed ?? from], [
    "jobs",
    jobs,
  ]].map(([name, value]) => /^[1-9]\d*$/.test(value ?? "") ? undefined : `--${name}: is ${value}`)
    .find((one) => one !== undefined);
  if (problem !== undefined) {
    console.error(problem);
    return 2;
  }
  if (plants) return await findPlants({ from: Number(from), count: Number(seeds) }, settings);
  if (seed !== undefined) return await runOne(Number(seed), settings, history);
  const range = { from: Number(from), count: Number(seeds), jobs: Number(jobs) };
  return await runMany({ ...range, resume, print: console.log }, settings);
}

async function runOne(seed: number, settings: Settings, whole: boolean): Promise<number> {
  const options = { ...settingsToOptions(settings), seed };
  const result = await runSeed(options);
  if (whole) console.log(result.history.join("\n"));
  if (result.problem === undefined) {
    console.log(`seed ${seed} held: ${Math.round(result.virtualMs / 1000)} s of simulated time`);
    return 0;
  }
  if (!whole) await tell(result, settings);
  else console.log(`seed ${seed} broke: ${result.problem}`);
  return 1;
}

/** What a person needs to go on from a failure. */
async function tell(failed: RunResult, settings: Settings): Promise<void> {
  const options = { ...settingsToOptions(settings), seed: failed.seed };
  const { shortest, runs } = await shrink(options, failed);
  const { seed, steps, history, problem } = shortest;
  console.log(history.slice(-TAIL).join("\n"));
  console.log(`\nseed ${seed} broke: ${failed.problem}`);
  console.log(`repeat it with: ${commandFor(seed, settings)}`);
  console.log(
    `${steps.length} of ${failed.steps.length} steps are enough (${runs} runs): ${problem}`,
  );
  console.log(`  ${commandFor(seed, { ...settings, steps: formatSteps(steps) })} --history`);
}

/** With each planted bug, the first seed whose script breaks what the bug is to break. */
async function findPlants(
  { from, count }: { from: number; count: number },
  settings: Settings,
): Promise<number> {
  let missing = 0;
  for (const plant of PLANTS) {
    let shownBy: number | undefined;
    let others = 0;
    for (let seed = from; seed < from + count && shownBy === undefined; seed++) {
      const { problem } = await runSeed({ ...settingsToOptions(settings), seed, plant });
      if (plant.finds.test(problem ?? "")) shownBy = seed;
      else if (problem !== undefined) others++;
    }
    if (shownBy === undefined) missing++;
    const besides = others === 0 ? "" : `, after ${others} that broke another rule first`;
    console.log(
      `${plant.name}: ${shownBy === undefined ? "no seed" : `seed ${shownBy}`}${besides}`,
    );
  }
  console.log(`${PLANTS.length - missing} of ${PLANTS.length} planted bugs were shown`);
  return missing === 0 ? 0 : 1;
}

async function runMany(options: CampaignOptions, settings: Settings): Promise<number> {
  const count = await runCampaign(options, settings);
  if (typeof count === "string") {
    console.error(count);
    return 2;
  }
  console.log(summaryOf(count));
  return count.broken.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
