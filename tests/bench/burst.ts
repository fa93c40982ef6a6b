/**
 * Many containers at once: one request for 200 tasks on one worker, beside the bare engine making as many
 * with the same concurrency, in turn; with `--peer swarm` also Docker Swarm on the same engine.
 *
 * @module
 */
import type { Runtime } from "../../worker/runtime.ts";
import { TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import type { ServerProcess } from "../support/processes.ts";
import {
  concurrently,
  newestEvent,
  onBed,
  removeBare,
  removeService,
  SLEEPER,
  stampOf,
  startBare,
} from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const burst: Bench = {
  name: "burst",
  summary: "200 containers from one request, against the bare engine's pace (--peer swarm)",
  goals: "paceRatio ≥ 0.95",
  whole: { peer: "swarm" },
  run,
};

async function run(options: BenchOptions): Promise<BenchResult> {
  const count = intFlag(options, "count", 200);
  const rounds = intFlag(options, "rounds", 2);
  const pace = { berth: [] as number[], bare: [] as number[], swarm: [] as number[] };
  await onBed({ names: ["bench"] }, async ({ server, bare, startsAtOnce }) => {
    const sides = [
      async (n: number) => pace.berth.push(count / await berthSeconds(server, `burst-${n}`, count)),
      async () => pace.bare.push(count / await bareSeconds(bare, count, startsAtOnce)),
    ];
    for (let n = 1; n <= rounds; n++) {
      // What one side leaves the engine to clear up is the other's burden in every second round.
      for (const side of n % 2 === 1 ? sides : sides.toReversed()) await side(n);
      if (options.flags.peer === "swarm") pace.swarm.push(count / await swarmSeconds(count));
      options.say(`  round ${n}: ${JSON.stringify(pace)} containers a second`);
    }
  });
  const ratios = pace.berth.map((value, i) => value / (pace.bare[i] ?? NaN));
  return {
    figures: {
      paceRatio: round(median(ratios)),
      berthPerSecond: round(median(pace.berth), 2),
      barePerSecond: round(median(pace.bare), 2),
      ...(pace.swarm.length > 0 ? { swarmPerSecond: round(median(pace.swarm), 2) } : {}),
    },
    samples: rounds * count,
  };
}

async function berthSeconds(server: ServerProcess, name: string, count: number): Promise<number> {
  const after = await newestEvent(server);
  const beginMs = Date.now();
  const mode = { type: "replicated" as const, replicas: count };
  const created = await server.client.createService({ name, mode, template: SLEEPER });
  if (!created.ok) throw new Error(JSON.stringify(created.error));
  const endMs = await stampOf(server, {
    ...{ after, count },
    tells: (event) => event.service === `default/${name}` && event.state === "running",
  });
  await removeService(server, name);
  return (endMs - beginMs) / 1000;
}

async function bareSeconds(bare: Runtime, count: number, width: number): Promise<number> {
  const ids = Array.from({ length: count }, (_, i) => idOf(i + 1));
  const beginMs = performance.now();
  await concurrently(ids, width, (id) => startBare(bare, id));
  const seconds = (performance.now() - beginMs) / 1000;
  await concurrently(ids, width, (id) => removeBare(bare, id));
  return seconds;
}

/** Docker Swarm on the same engine, by the docker command: a swarm of one that is left again. */
async function swarmSeconds(count: number): Promise<number> {
  await docker("swarm", "init", "--advertise-addr", "127.0.0.1");
  try {
    const beginMs = performance.now();
    await docker(
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "berth-bench"],
      ...["--replicas", String(count), TEST_IMAGE, "sleep", "3600"],
    );
    await eventually(
      async () =>
        await docker("service", "ls", "--format", "{{.Replicas}}") === `${count}/${count}`,
      { timeoutMs: 300_000, what: "the swarm's replicas" },
    );
    return (performance.now() - beginMs) / 1000;
  } finally {
    await docker("service", "rm", "berth-bench");
    const filter = "label=com.docker.swarm.service.name=berth-bench";
    await eventually(async () => await docker("ps", "-aq", "--filter", filter) === "", {
      timeoutMs: 300_000,
      what: "the swarm's containers to be gone",
    });
    await docker("swarm", "leave", "--force");
  }
}

async function docker(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("docker", { args }).output();
  if (!success) throw new Error(`docker ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}
