/**
 * `deno task bench [NAME] [--json] [--flag value …]`: runs one benchmark, or lists and runs them all.
 * The last line of each is one JSON object: bench, figures, samples, machine, fsyncMs.
 *
 * @module
 */
import { type Bench, type BenchOptions, describeMachine, measureFsyncMs } from "./harness.ts";
import { balance } from "./balance.ts";
import { burst } from "./burst.ts";
import { firstRun } from "./first_run.ts";
import { heal } from "./heal.ts";
import { idle } from "./idle.ts";
import { nodeLoss } from "./node_loss.ts";
import { placements } from "./placements.ts";
import { soak } from "./soak.ts";

const BENCHES: readonly Bench[] = [
  firstRun,
  placements,
  heal,
  nodeLoss,
  burst,
  idle,
  soak,
  balance,
];

function parse(args: readonly string[]): { name?: string; options: BenchOptions } {
  const flags: Record<string, string> = {};
  let name: string | undefined;
  let json = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--json") json = true;
    else if (arg.startsWith("--")) {
      const value = args[i + 1];
      const bare = value === undefined || value.startsWith("--");
      flags[arg.slice(2)] = bare ? "" : value;
      if (!bare) i++;
    } else name = arg;
  }
  const say = json ? () => {} : (line: string) => console.log(line);
  return { ...(name === undefined ? {} : { name }), options: { json, flags, say } };
}

async function runOne(bench: Bench, options: BenchOptions): Promise<void> {
  options.say(`${bench.name}: ${bench.summary} (goal: ${bench.goals})`);
  const fsyncMs = await measureFsyncMs();
  const { figures, samples } = await bench.run(options);
  const machine = describeMachine();
  console.log(JSON.stringify({ bench: bench.name, figures, samples, machine, fsyncMs }));
}

const { name, options } = parse(Deno.args);
const chosen = name === undefined ? BENCHES : BENCHES.filter((bench) => bench.name === name);
if (chosen.length === 0) {
  const names = BENCHES.map((bench) => bench.name).join(", ");
  console.error(`bench ${name}: there is none of that name. There are: ${names}.`);
  Deno.exit(2);
}
if (name === undefined) {
  for (const bench of BENCHES) console.log(`${bench.name.padEnd(12)} ${bench.summary}`);
}
for (const bench of chosen) await runOne(bench, options);
