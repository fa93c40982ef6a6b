/**
 * `berth up` as people run it: a process, with ten services in three waves. Cold, beside the same
 * containers made in the same order by bare engine calls, in turn; and again while nothing is to do.
 * Times are those of the whole process.
 *
 * @module
 */
import { idOf } from "../support/ids.ts";
import {
  type Bed,
  concurrently,
  inPairs,
  onBed,
  removeBare,
  SLEEPER,
  startBare,
  withDir,
} from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const up: Bench = {
  name: "up",
  summary: "berth up of 10 services: unchanged, and cold against the same bare engine calls",
  goals: "unchangedMs ≤ 300, coldRatio ≤ 1.2",
  run,
};

const ROOT = new URL("../..", import.meta.url).pathname;
/** Services of each wave; each service depends on all of the wave before. */
const WAVES = [2, 4, 4];
const UNCHANGED = 3;

async function run(options: BenchOptions): Promise<BenchResult> {
  const pairs = intFlag(options, "pairs", 5);
  return await withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/compose.yaml`, composeFile());
    return await onBed({ names: ["bench"] }, async (bed) => {
      const unchangedMs: number[] = [];
      const berth = (...args: string[]) => command({ bed, dir, args });
      const { figures } = await inPairs({ ...options, flags: { pairs: String(pairs) } }, {
        async berth(pair) {
          const coldMs = await berth("up");
          for (let i = 0; i < UNCHANGED; i++) {
            const tookMs = await berth("up");
            if (pair > 0) unchangedMs.push(tookMs);
          }
          await berth("down");
          return coldMs;
        },
        bare: () => bareWaves(bed),
      });
      options.say(`  unchanged: ${unchangedMs.map((ms) => round(ms, 0)).join(" ")} ms`);
      return {
        figures: {
          unchangedMs: round(median(unchangedMs), 0),
          coldRatio: figures.ratio ?? NaN,
          coldMs: figures.berthMs ?? NaN,
          bareMs: figures.bareMs ?? NaN,
        },
        samples: pairs,
      };
    });
  });
}

function composeFile(): string {
  const services = WAVES.flatMap((size, wave) =>
    Array.from({ length: size }, (_, i) => {
      const before = Array.from({ length: WAVES[wave - 1] ?? 0 }, (_, j) => `s${wave - 1}-${j}`);
      return `  s${wave}-${i}: {<<: *sleeper, depends_on: [${before.join(", ")}]}`;
    })
  );
  const { image, command } = SLEEPER;
  return `name: bench-up
x-sleeper: &sleeper
  image: ${image}
  command: ${command.join(" ")}
  pull_policy: never
  stop_grace_period: 0s
services:
${services.join("\n")}
`;
}

/** The time of a command's whole process, in ms. */
async function command(
  { bed, dir, args }: { bed: Bed; dir: string; args: string[] },
): Promise<number> {
  const beganMs = performance.now();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", `--config=${ROOT}deno.json`, "-P=cli", `${ROOT}cli/main.ts`, ...args],
    cwd: dir,
    env: { BERTH_SERVER: bed.server.url, BERTH_TOKEN: bed.server.token, XDG_CONFIG_HOME: dir },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const tookMs = performance.now() - beganMs;
  if (!success) throw new Error(`berth ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return tookMs;
}

/** The containers of a wave at once, the waves one after the other. */
async function bareWaves({ bare }: Bed): Promise<number> {
  const ids: string[] = [];
  const beganMs = performance.now();
  for (const size of WAVES) {
    const wave = Array.from({ length: size }, (_, i) => idOf(ids.length + i + 1));
    ids.push(...wave);
    await concurrently(wave, size, (id) => startBare(bare, id));
  }
  const tookMs = performance.now() - beganMs;
  await concurrently(ids, ids.length, (id) => removeBare(bare, id));
  return tookMs;
}
