/**
 * `berth demo`: shows on this machine what Berth does.
 *
 * Invariants:
 * 1. Whatever happens, on the way out the sample's containers, the processes, the data and the context
 *    are gone.
 *
 * @module
 */
import type { Deps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { memory } from "../format/quantity.ts";
import { style } from "../format/style.ts";
import { type LocalCluster, startCluster } from "../local/cluster.ts";
import {
  aborted,
  dropContext,
  findSetup,
  interruption,
  keepContext,
  type LocalOptions,
  type Setup,
} from "../local/setup.ts";
import { createSteps, type StepResult, type Steps } from "../local/steps.ts";
import { removeSample, SAMPLE_IMAGE, SAMPLE_NAME, tellStory } from "../local/story.ts";
import { fail } from "../report.ts";

const WORKERS = 3;
const CONTEXT = "demo";

export async function demo(
  options: LocalOptions & { once: boolean },
  deps: Deps,
): Promise<ExitCode> {
  const workers = options.workers ?? WORKERS;
  const found = await findSetup(options, workers);
  if (!found.ok) return fail(deps, found.message, "", EXIT.failed);
  const setup = await withImage(found.setup, workers);
  const steps = createSteps(deps);
  announce(setup, steps, deps);

  const stop = interruption(deps);
  const parent = `${setup.root}/.berth/demo`;
  await Deno.mkdir(parent, { recursive: true, mode: 0o700 });
  const dir = await Deno.makeTempDir({ dir: parent });
  let told: StepResult<undefined>;
  try {
    told = await onCluster({ options, workers, setup, steps, deps, dir, signal: stop.signal });
  } finally {
    stop.dispose();
    await Deno.remove(dir, { recursive: true }); // Invariant 1
  }
  if (told.ok) return EXIT.ok;
  if (stop.signal.aborted) return EXIT.interrupted;
  return fail(
    deps,
    told.message,
    "try again; without an engine: deno task demo --sim",
    EXIT.failed,
  );
}

/** An engine on which the sample image cannot be made is as good as none. */
async function withImage(setup: Setup, workers: number): Promise<Setup> {
  if (setup.sim) return setup;
  const image = await setup.engine.ensureImage(SAMPLE_IMAGE);
  if (image.ok) return setup;
  const simulated = await findSetup(
    { workers, cpus: undefined, memory: undefined, sim: true },
    workers,
  );
  return simulated.ok ? { ...simulated.setup, noEngine: image.message } : setup;
}

function announce(setup: Setup, steps: Steps, deps: Deps): void {
  const paint = style(deps.view.color);
  steps.say(
    `${paint.strong("Berth")}${paint.dim(": containers across machines, shown on this one")}`,
  );
  steps.say();
  if (setup.noEngine) {
    steps.say(`${paint.busy("!")} ${setup.noEngine}`);
    steps.say(`  The same story with simulated containers:`);
  } else {
    const { engineName, cpus, memoryMiB } = setup;
    steps.say(`${paint.good("✓")} Engine: ${engineName}, ${cpus} cores, ${memory(memoryMiB)}`);
  }
}

interface Run {
  options: { once: boolean };
  workers: number;
  setup: Setup;
  steps: Steps;
  deps: Deps;
  dir: string;
  signal: AbortSignal;
}

async function onCluster(run: Run): Promise<StepResult<undefined>> {
  const { setup, steps, deps, workers, dir, signal } = run;
  const started = await steps.step("starting a server and its workers", async () => {
    const result = await startCluster(deps, {
      ...{ root: setup.root, dir, prefix: "demo", workers, sim: setup.sim },
      ...{ cpus: setup.cpus, memoryMiB: setup.memoryMiB, onNews: steps.note },
    });
    return result.ok ? { ok: true as const, value: result.cluster } : result;
  }, (cluster) => `Server at ${cluster.url}, ${workers} workers`);
  if (!started.ok) return started;
  const cluster = started.value;
  const context = await keepContext(deps, CONTEXT, { server: cluster.url, token: cluster.token });
  if (!context.ok) steps.note(context.message);
  const scene = { deps, steps, setup, cluster, signal };
  try {
    const told = await tellStory(scene);
    if (told.ok && !run.options.once) await stay(scene, cluster, context.ok);
    return told;
  } finally { // Invariant 1
    const removed = await removeSample(scene);
    if (!removed.ok) steps.note(removed.message);
    await steps.step("stopping", async () => {
      await cluster.stop();
      return { ok: true as const, value: undefined };
    }, () => "Stopped the server and its workers");
    if (context.ok) await dropContext(deps, CONTEXT, { ...context, server: cluster.url });
  }
}

/** Says how to look around, and waits for Ctrl-C. */
async function stay(
  { deps, steps, signal }: { deps: Deps; steps: Steps; signal: AbortSignal },
  cluster: LocalCluster,
  inContext: boolean,
): Promise<void> {
  const paint = style(deps.view.color);
  const lines = [
    ["berth ps", "what runs, where, on which port"],
    [`berth logs -f ${SAMPLE_NAME}`, "the output of all three"],
    [`berth exec -it ${SAMPLE_NAME} sh`, "a shell inside one"],
    ["berth events -f", "what happens, as it happens"],
    [`berth rm -f ${SAMPLE_NAME}`, "away with it"],
  ];
  steps.say(
    `Look around in another terminal (${paint.strong("deno task berth …")} in this directory):`,
  );
  steps.say();
  for (const [line = "", what = ""] of lines) {
    steps.say(`    ${paint.accent(`deno task ${line}`.padEnd(36))} ${paint.dim(what)}`);
  }
  steps.say();
  steps.say(`API documentation: ${cluster.url}/docs`);
  steps.say(
    inContext
      ? `Server and token are in the context "${CONTEXT}", which is current.`
      : `Server: BERTH_SERVER=${cluster.url}`,
  );
  steps.say("Ctrl-C stops everything and cleans up.");
  const broken = await Promise.race([cluster.broken, aborted(signal)]);
  steps.say();
  if (broken) steps.note(broken);
}
