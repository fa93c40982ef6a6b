/**
 * The README's table of figures, made of the stored records. Pure.
 *
 * @module
 */
import { type BenchRecord, goalsOf } from "./record.ts";
import { figureText, tableOf } from "./text.ts";

export const BEGIN = "<!-- figures: `deno task bench report` writes them -->";
export const END = "<!-- end of figures -->";

/** What is told, in this order. */
const TOLD: readonly { bench: string; figure: string; what: string }[] = [
  {
    bench: "first-run",
    figure: "ratio",
    what: "`POST` to running container, beside bare engine create + start",
  },
  {
    bench: "burst",
    figure: "paceRatio",
    what: "200 containers from one request: pace, beside the bare engine's",
  },
  {
    bench: "up",
    figure: "unchangedMs",
    what: "`berth up` of 10 services with nothing to do, the whole process",
  },
  {
    bench: "up",
    figure: "coldRatio",
    what: "`berth up` of 10 services in three waves, beside the bare engine's same calls",
  },
  {
    bench: "heal",
    figure: "ratio",
    what: "A killed container running again, beside a bare `docker start`",
  },
  {
    bench: "node-loss",
    figure: "placedAfterTtlMs",
    what: "A dead node's tasks placed elsewhere, after its TTL",
  },
  {
    bench: "placements",
    figure: "perSecond",
    what: "Durable placements: 50,000 tasks on 5,000 nodes, one request",
  },
  {
    bench: "placements",
    figure: "rulesPerSecond",
    what: "The same with constraints, anti-affinity and spread on every task",
  },
  {
    bench: "fanout",
    figure: "p99Ms",
    what: "Of 5,000 waiting agents those concerned have a commit, 99 of 100 within",
  },
  {
    bench: "mixed",
    figure: "readsPerSecond",
    what: "Reads answered while placing at half speed",
  },
  {
    bench: "restart",
    figure: "readyMs",
    what: "A server with 100,000 tasks after `kill -9`: until it plans again",
  },
  { bench: "idle", figure: "serverMiB", what: "Resident memory of an idle server" },
  { bench: "idle", figure: "workerMiB", what: "Resident memory of an idle worker" },
  { bench: "idle", figure: "cpuPercent", what: "CPU of both, idle" },
];

/** One row per figure that was measured: what, figure, goal, command. */
export function readmeRows(records: readonly BenchRecord[]): string[][] {
  return TOLD.flatMap(({ bench, figure, what }) => {
    const record = records.find((one) => one.bench === bench);
    const value = record?.figures[figure];
    if (!record || value === undefined) return [];
    const goal = goalsOf(record.goals).find((one) => one.figure === figure);
    const goalText = goal ? `${goal.bound} ${figureText(figure, goal.value)}` : "";
    return [[what, figureText(figure, value), goalText, `\`${record.command}\``]];
  });
}

/** The README with its table made anew. */
export function withFigures(readme: string, records: readonly BenchRecord[]): string {
  const begin = readme.indexOf(BEGIN), end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("the README lacks the marks of its figures");
  const table = tableOf(["What", "Figure", "Goal", "Command"], readmeRows(records));
  return `${readme.slice(0, begin)}${BEGIN}\n\n${table}\n\n${readme.slice(end)}`;
}
