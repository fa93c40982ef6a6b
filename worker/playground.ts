/**
 * One process that hosts many simulated nodes, each with its own agent, credential, engine and state
 * directory. It follows the set that the server keeps; a server without a playground has it host as
 * many as it was started with.
 *
 * 1. At most one agent of a name runs at a time: the next one starts when the last has ended.
 * 2. A node that left the set never joins again by itself: only a node that is wanted joins, and its
 *    agent runs without the join token.
 * 3. Everything ends with the signal; what a node knew is kept for the next start.
 *
 * @module
 */
import { createNoGuard } from "./guard_client.ts";
import { type CallError, type Client, createClient, describeError } from "../api/client.ts";
import { PLAYGROUND_LABEL, type PlaygroundNode } from "../kv/schema/playground.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { WorkerConfig } from "./config.ts";
import { loadIdentity } from "./join.ts";
import type { Log } from "./log.ts";
import { createSimEngine, createSimRuntime } from "./sim.ts";
import { createBackOff } from "./wake.ts";
import { type Ended, EXIT, joinAnew, runWorker, type WorkerDeps } from "./worker.ts";

export interface HostDeps {
  config: WorkerConfig & { joinToken: string; simNodes: number };
  clock: Clock;
  random: () => number;
  newKey: () => string;
  log: Log;
  /** For tests. */
  fetch?: (request: Request) => Promise<Response>;
}

/** What a simulated node has unless the configuration says otherwise. */
const CAPACITY = { cpus: 4, memoryMiB: 8192 };
const HOLD_MS = 15_000;
const RETRY = { firstMs: 250, maxMs: 5_000 };

interface Running {
  generation: number;
  stop: AbortController;
  ended: Promise<void>;
}

interface Nodes {
  running: Map<string, Running>;
  /** The ends of nodes that left the set: a later one of the same name waits for it. */
  leaving: Map<string, Promise<void>>;
}

/** Runs until the signal aborts, or the server refuses. */
export async function runHost(deps: HostDeps, signal: AbortSignal): Promise<Ended> {
  const { clock, random, log, config } = deps;
  const client = clientOf(deps);
  const nodes: Nodes = { running: new Map(), leaving: new Map() };
  const backOff = createBackOff({ ...RETRY, random });
  let ended: Ended = { code: EXIT.done };
  let since: number | undefined;
  try {
    while (!signal.aborted) {
      const answer = since === undefined
        ? await seed(client, config, signal)
        : await client.playground({ since, holdMs: HOLD_MS }, { signal });
      if (signal.aborted) break;
      if (answer.ok) {
        backOff.reset();
        const { version } = answer.value;
        if (since === undefined) log("info", "the playground has its nodes", { version });
        since = version;
        follow(deps, nodes, answer.value.nodes, signal);
        continue;
      }
      if (status(answer.error) === 404) {
        log("info", "the server has no playground: hosting as many nodes as asked for");
        follow(deps, nodes, fixedSet(config), signal);
        await aborted(signal);
        break;
      }
      if (isFinal(answer.error)) {
        ended = {
          code: EXIT.refused,
          message: `${config.server} refuses this host: ${describeError(answer.error)}`,
        };
        break;
      }
      log("warn", "cannot ask for the simulated nodes; trying again", {
        reason: describeError(answer.error),
      });
      await clock.sleep(backOff.nextMs(), signal);
    }
  } finally {
    const running = [...nodes.running.values()];
    for (const { stop } of running) stop.abort(); // Invariant 3.
    await Promise.all([...running.map((node) => node.ended), ...nodes.leaving.values()]);
  }
  return ended;
}

function clientOf({ config, fetch }: HostDeps): Client {
  return createClient({
    url: config.server,
    token: config.joinToken,
    timeoutMs: 4000,
    ...(fetch ? { fetch } : {}),
  });
}

function seed(client: Client, { simNodes, cpus, memoryMiB }: HostDeps["config"], s: AbortSignal) {
  const capacity = { cpus: cpus ?? CAPACITY.cpus, memoryMiB: memoryMiB ?? CAPACITY.memoryMiB };
  return client.seedPlayground({ count: simNodes, ...capacity }, { signal: s });
}

function fixedSet({ simNodes, cpus, memoryMiB }: HostDeps["config"]): PlaygroundNode[] {
  return Array.from({ length: simNodes }, (_, i) => ({
    name: `sim-${i + 1}`,
    cpus: cpus ?? CAPACITY.cpus,
    memoryMiB: memoryMiB ?? CAPACITY.memoryMiB,
    generation: 1,
  }));
}

function status(error: CallError): number | undefined {
  return error.kind === "problem" ? error.problem.status : undefined;
}

function isFinal(error: CallError): boolean {
  const code = status(error);
  return code !== undefined && code < 500 && code !== 408 && code !== 409 && code !== 429;
}

/** Starts, stops and restarts agents until they are those of the set. */
function follow(
  deps: HostDeps,
  { running, leaving }: Nodes,
  wanted: readonly PlaygroundNode[],
  signal: AbortSignal,
): void {
  const names = new Set(wanted.map(({ name }) => name));
  for (const [name, node] of running) {
    if (names.has(name)) continue;
    running.delete(name);
    node.stop.abort();
    const gone = node.ended.then(() => forget(stateDirOf(deps, name))).catch((error) =>
      deps.log("warn", "cannot remove the state of a node", { node: name, reason: String(error) })
    );
    leaving.set(name, gone);
    gone.finally(() => leaving.get(name) === gone && leaving.delete(name));
  }
  for (const node of wanted) {
    const now = running.get(node.name);
    if (now?.generation === node.generation) continue;
    now?.stop.abort();
    const before = now?.ended ?? leaving.get(node.name) ?? Promise.resolve();
    running.set(node.name, startNode(deps, node, { before, signal }));
  }
}

/** One agent, once the one `before` it has ended: invariant 1. */
function startNode(
  deps: HostDeps,
  node: PlaygroundNode,
  { before, signal }: { before: Promise<void>; signal: AbortSignal },
): Running {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) stop.abort();
  const ended = before.then(() => keep(deps, node, stop.signal))
    .finally(() => signal.removeEventListener("abort", onAbort));
  return { generation: node.generation, stop, ended };
}

/** Keeps a node in the cluster for as long as it is wanted. Its engine lasts as long as this call. */
async function keep(deps: HostDeps, node: PlaygroundNode, signal: AbortSignal): Promise<void> {
  const { clock, random } = deps;
  const backOff = createBackOff({ ...RETRY, random });
  const worker = workerOf(deps, node);
  const dir = worker.config.stateDir;
  while (!signal.aborted) {
    try {
      await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
      const known = (await loadIdentity(dir)).kind === "known";
      const joined = known || "nodeId" in
          await joinAnew(worker, { joinToken: deps.config.joinToken, former: [] }, signal);
      const { joinToken: _, ...config } = worker.config; // Invariant 2.
      const end = joined ? await runWorker({ ...worker, config }, signal) : undefined;
      if (end?.code === EXIT.refused) await forget(dir);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      worker.log("error", "the simulated node failed; trying again", { reason });
    }
    if (!signal.aborted) await clock.sleep(backOff.nextMs(), signal);
  }
}

function workerOf(deps: HostDeps, { name, cpus, memoryMiB }: PlaygroundNode): WorkerDeps {
  const { config, clock, random, newKey, fetch } = deps;
  const engine = createSimEngine({ clock, random, hostname: name, capacity: { cpus, memoryMiB } });
  const { simNodes: _, ...rest } = config;
  return {
    config: {
      ...rest,
      name,
      cpus,
      memoryMiB,
      labels: { ...config.labels, [PLAYGROUND_LABEL]: "true" },
      stateDir: stateDirOf(deps, name),
      runtime: "sim",
    },
    createRuntime: (nodeId) => createSimRuntime({ engine, nodeId }),
    createGuard: createNoGuard,
    clock,
    random,
    newKey,
    log: (level, message, fields) => deps.log(level, message, { node: name, ...fields }),
    ...(fetch ? { fetch } : {}),
  };
}

function stateDirOf({ config }: HostDeps, name: string): string {
  return `${config.stateDir}/nodes/${name}`;
}

async function forget(dir: string): Promise<void> {
  try {
    await Deno.remove(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
