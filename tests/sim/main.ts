/**
 * Runs simulations: `deno task sim [--seeds N] [--seed S] [--from S] [--history]`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { PLANTS } from "./planted.ts";
import { runSeed } from "./run.ts";

const TAIL = 30;

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seeds: { type: "string", default: "50" },
      seed: { type: "string" },
      from: { type: "string", default: "1" },
      history: { type: "boolean", default: false },
      plant: { type: "string" },
    },
  });
  const from = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const plant = PLANTS.find(({ name }) => name === values.plant);
  if (values.plant !== undefined && !plant) {
    console.error(`--plant: must be one of ${PLANTS.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  let failed = 0;
  const beganMs = performance.now();
  for (let seed = from; seed < from + count; seed++) {
    const result = await runSeed({ seed, ...(plant ? { plant } : {}) });
    if (values.history) console.log(result.history.join("\n"));
    if (result.problem === undefined) continue;
    failed++;
    console.log(`seed ${seed} broke: ${result.problem}`);
    console.log(`repeat it with: deno task sim --seed ${seed}`);
    if (count === 1 && !values.history) console.log(result.history.slice(-TAIL).join("\n"));
  }
  const perSeedMs = Math.round((performance.now() - beganMs) / count);
  console.log(`${count - failed} seeds held, ${failed} broke, ${perSeedMs} ms a seed`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
