/**
 * `berth dev`: a server and a worker on this machine, until Ctrl-C. Its state is kept, and containers
 * run on when it ends: the next start adopts them.
 *
 * @module
 */
import type { Deps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { counted } from "../format/quantity.ts";
import { style } from "../format/style.ts";
import { startCluster } from "../local/cluster.ts";
import {
  aborted,
  findSetup,
  interruption,
  keepContext,
  type LocalOptions,
} from "../local/setup.ts";
import { createSteps } from "../local/steps.ts";
import { fail } from "../report.ts";

const CONTEXT = "dev";

/** The address of the server that has this directory, if one answers: only that one takes its token. */
async function runningAt(dir: string, deps: Deps): Promise<string | undefined> {
  const contexts = await deps.contexts.read();
  const server = contexts.ok ? contexts.value.contexts[CONTEXT]?.server : undefined;
  if (server === undefined) return undefined;
  const token = await deps.readTextFile(`${dir}/server/admin-token`).catch(() => undefined);
  if (token === undefined) return undefined;
  const client = await deps.connect({ server, token: token.trim() });
  return (await client.cluster()).ok ? server : undefined;
}

export async function dev(options: LocalOptions, deps: Deps): Promise<ExitCode> {
  const workers = options.workers ?? 1;
  const found = await findSetup(options, workers);
  if (!found.ok) return fail(deps, found.message, "", EXIT.failed);
  const { setup } = found;
  const steps = createSteps(deps);
  if (setup.noEngine) {
    steps.say(`${setup.noEngine}`);
    steps.say("Containers are simulated.");
  }
  const dir = `${setup.root}/.berth/dev`;
  const running = await runningAt(dir, deps);
  if (running !== undefined) {
    const next = "use that one: deno task berth ps\nor stop it first: Ctrl-C where it runs";
    return fail(deps, `dev runs already in this checkout, at ${running}`, next, EXIT.conflict);
  }
  const stop = interruption(deps);
  try {
    const started = await steps.step(
      "starting",
      async () => {
        const result = await startCluster(deps, {
          ...{ root: setup.root, dir, prefix: "dev", workers, sim: setup.sim },
          ...{ cpus: setup.cpus, memoryMiB: setup.memoryMiB, onNews: steps.note },
          ...(options.simNodes === undefined ? {} : { simNodes: options.simNodes }),
        });
        return result.ok ? { ok: true as const, value: result.cluster } : result;
      },
      (cluster) => `Server at ${cluster.url}, ${counted(workers, "worker")} on ${setup.engineName}`,
    );
    if (!started.ok) {
      return fail(deps, started.message, `its logs are in ${dir}/logs`, EXIT.failed);
    }
    const cluster = started.value;
    const context = await keepContext(deps, CONTEXT, { server: cluster.url, token: cluster.token });
    if (!context.ok) steps.note(context.message);
    else if (context.previous) {
      steps.note(`Context ${CONTEXT} is current; it was ${context.previous}.`);
    }
    const paint = style(deps.view.color);
    steps.say();
    steps.say(`  In another terminal:  ${paint.accent("deno task berth run -d -p 8080:80 nginx")}`);
    steps.say(`                        ${paint.accent("deno task berth ps")}`);
    if (options.simNodes !== undefined) {
      steps.say(`  Playground:           ${options.simNodes} simulated nodes (docs/playground.md)`);
    }
    steps.say(`  API documentation:    ${cluster.url}/docs`);
    steps.say(`  Logs and data:        ${dir}`);
    steps.say();
    steps.say("Ctrl-C stops server and worker; containers run on.");
    const broken = await Promise.race([cluster.broken, aborted(stop.signal)]);
    steps.say();
    await steps.step("stopping", async () => {
      await cluster.stop();
      return { ok: true as const, value: undefined };
    }, () => "Stopped");
    return broken ? fail(deps, broken, "correct it and start again", EXIT.failed) : EXIT.ok;
  } finally {
    stop.dispose();
  }
}
