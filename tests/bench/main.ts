/**
 * Benchmarks: `deno task bench` lists them, with a name runs one, with `--all` all of them; `report` makes
 * docs/benchmarks.md, its plots and the README's figures of the stored records. The last line of a run is
 * one JSON object, its record.
 *
 * @module
 */
import { BENCHES } from "./benches.ts";
import { readRecord, STORE, writeRecord, writeReport } from "./files.ts";
import { type Bench, type BenchOptions, describeMachine, measureFsyncMs } from "./harness.ts";
import { type BenchRecord, changesOf, commandOf, goalsOf, replacing } from "./record.ts";

const USAGE = `Usage: deno task bench                         lists the benchmarks
       deno task bench NAME [--FLAG VALUE …]   runs one
       deno task bench --all [--FLAG VALUE …]  runs all of them
       deno task bench report                  makes docs/benchmarks.md and its plots

  --out DIR     keep the records there: ${STORE} are those of the report
  --date DAY    the day to note in them (today)
  --json        print nothing but the records`;

interface Request {
  name?: string;
  all: boolean;
  out?: string;
  date: string;
  options: BenchOptions;
}

function parse(args: readonly string[], today: string): Request {
  const flags: Record<string, string> = {};
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (!arg.startsWith("--")) {
      names.push(arg);
      continue;
    }
    const value = args[i + 1];
    const bare = arg === "--json" || arg === "--all" || value === undefined ||
      value.startsWith("--");
    flags[arg.slice(2)] = bare ? "" : value;
    if (!bare) i++;
  }
  const { json, all, date = today, ...rest } = flags;
  const say = json === undefined ? (line: string) => console.log(line) : () => {};
  const [name] = names;
  return {
    ...(name === undefined ? {} : { name }),
    all: all !== undefined,
    ...(rest.out === undefined ? {} : { out: rest.out }),
    date,
    options: { json: json !== undefined, flags: rest, say },
  };
}

async function runOne(bench: Bench, request: Request): Promise<void> {
  const { all, out, date } = request;
  const flags = { ...(all ? bench.whole : {}), ...request.options.flags };
  const options = { ...request.options, flags };
  const { name, summary, goals } = bench;
  options.say(`${name}: ${summary}${goals === "" ? "" : ` (goal: ${goals})`}`);
  const fsyncMs = await measureFsyncMs();
  const result = await bench.run(options);
  const record: BenchRecord = {
    ...{ bench: name, ...result, summary, goals, machine: describeMachine(), fsyncMs },
    ...{ command: commandOf(name, flags), date },
  };
  const stored = await readRecord(out ?? STORE, name);
  if (stored) {
    for (const change of changesOf(stored.figures, result.figures, goalsOf(goals))) {
      const { figure, from, to, verdict } = change;
      options.say(`  ${figure}: ${from} → ${to}${verdict === "same" ? "" : `, ${verdict}`}`);
    }
  }
  if (out !== undefined) await writeRecord(out, replacing(record, stored));
  console.log(JSON.stringify(record));
}

async function main(): Promise<number> {
  const request = parse(Deno.args, new Date().toISOString().slice(0, 10));
  const { name, all, options } = request;
  if (name === "report") {
    for (const path of await writeReport(BENCHES.map((bench) => bench.name))) options.say(path);
    return 0;
  }
  const chosen = all ? BENCHES : BENCHES.filter((bench) => bench.name === name);
  if (chosen.length === 0) {
    if (name !== undefined) console.error(`bench ${name}: there is none of that name.`);
    else console.log(`${USAGE}\n`);
    for (const bench of BENCHES) console.log(`${bench.name.padEnd(12)} ${bench.summary}`);
    return name === undefined ? 0 : 2;
  }
  let failed = 0;
  for (const bench of chosen) {
    try {
      await runOne(bench, request);
    } catch (error) {
      if (!all) throw error;
      // The others are still worth a run.
      console.error(`bench ${bench.name} failed:`, error);
      failed++;
    }
  }
  return failed > 0 ? 1 : 0;
}

Deno.exit(await main());
