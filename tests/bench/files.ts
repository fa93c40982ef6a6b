/**
 * The stored records, and what is made of them.
 *
 * @module
 */
import { withFigures } from "./readme_figures.ts";
import type { BenchRecord } from "./record.ts";
import { reportOf } from "./report.ts";

/** Where the records of the published figures are. */
export const STORE = "docs/benchmarks";
const PAGE = "docs/benchmarks.md";
const README = "README.md";

/** The record of a bench, if there is one. */
export async function readRecord(dir: string, bench: string): Promise<BenchRecord | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${dir}/${bench}.json`)) as BenchRecord;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The records of these benches, in their order, as far as they were taken. */
export async function readRecords(
  dir: string,
  benches: readonly string[],
): Promise<BenchRecord[]> {
  const records = await Promise.all(benches.map((bench) => readRecord(dir, bench)));
  return records.filter((record) => record !== undefined);
}

export async function writeRecord(dir: string, record: BenchRecord): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const text = JSON.stringify(record, null, 2);
  await Deno.writeTextFile(`${dir}/${record.bench}.json`, `${text}\n`);
}

/** Writes the page, its plots and the README's table; answers the files that it wrote. */
export async function writeReport(benches: readonly string[]): Promise<string[]> {
  const records = await readRecords(STORE, benches);
  const beside: string[] = [];
  for await (const { name } of Deno.readDir(STORE)) beside.push(name);
  const { page, plots } = reportOf(records, beside);
  const readme = withFigures(await Deno.readTextFile(README), records);
  const texts = { [PAGE]: page, [README]: readme };
  for (const [path, text] of Object.entries(texts)) await Deno.writeTextFile(path, text);
  for (const [name, svg] of Object.entries(plots)) {
    await Deno.writeTextFile(`${STORE}/${name}`, `${svg}\n`);
  }
  // The tables are aligned as everything else in the repository is.
  const args = ["fmt", "--quiet", ...Object.keys(texts), STORE];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  if (!success) throw new Error(`deno fmt: ${new TextDecoder().decode(stderr)}`);
  return [...Object.keys(texts), ...Object.keys(plots).map((name) => `${STORE}/${name}`)];
}
