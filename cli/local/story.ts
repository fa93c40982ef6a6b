/**
 * What the demo shows on a running cluster: a service comes up, loses a container, gets it back.
 *
 * @module
 */
import { type CallError, describeError } from "../../api/client.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { Deps } from "../deps.ts";
import { isNotFound } from "../find.ts";
import { urls } from "../format/quantity.ts";
import { taskPaint } from "../format/state.ts";
import { oneLine, style } from "../format/style.ts";
import { type Waited, waitUntil } from "../wait.ts";
import type { LocalCluster } from "./cluster.ts";
import type { Setup } from "./setup.ts";
import type { StepResult, Steps } from "./steps.ts";

export const SAMPLE_IMAGE = "berth-sample:1";
export const SAMPLE_NAME = "hello";
const REPLICAS = 3;
const UP_TIMEOUT_MS = 60_000;
const GONE_TIMEOUT_MS = 20_000;
const PAGE_TIMEOUT_MS = 5000;

export interface Scene {
  deps: Deps;
  steps: Steps;
  setup: Setup;
  cluster: LocalCluster;
  signal: AbortSignal;
}

const SPEC: ServiceSpecInput = {
  name: SAMPLE_NAME,
  mode: { type: "replicated", replicas: REPLICAS },
  template: {
    image: SAMPLE_IMAGE,
    ports: [{ target: 80 }],
    reserve: { cpus: 0.05, memoryMiB: 16 },
    limit: { cpus: 0, memoryMiB: 32 },
  },
};

/** Tells it. Answers what went wrong, if something did. */
export async function tellStory(scene: Scene): Promise<StepResult<undefined>> {
  const { steps } = scene;
  const up = await comesUp(scene);
  if (!up.ok) return up;
  showTasks(scene, up.value);
  if (!scene.setup.sim) await showPage(scene, up.value);
  const back = await comesBack(scene, up.value);
  if (!back.ok) return back;
  showTasks(scene, back.value);
  steps.say();
  return { ok: true, value: undefined };
}

async function comesUp({ deps, steps, cluster, signal }: Scene): Promise<StepResult<TaskView[]>> {
  return await steps.step(`deploying ${SAMPLE_NAME}`, async (update) => {
    const created = await cluster.client.createService(SPEC);
    if (!created.ok) return failed("the service could not be created", created);
    const running = await waitUntil(
      () => cluster.client.listTasks({ service: created.value.id }),
      (page) => {
        update(summary(page.items));
        return allRun(page.items);
      },
      { clock: deps.clock, timeoutMs: UP_TIMEOUT_MS, signal },
    );
    const why = running.kind === "done" ? "" : await reasons(cluster, created.value.id);
    return stepOf(running, `the service did not come up${why}`);
  }, (tasks) => `Deployed ${SAMPLE_NAME}: ${tasks.length} of ${REPLICAS} tasks run`);
}

/** What the tasks of a service say of themselves. */
async function reasons({ client }: LocalCluster, service: string): Promise<string> {
  const tasks = await client.listTasks({ service });
  const said = (tasks.ok ? tasks.value.items : [])
    .map((task) => oneLine(task.observed?.message ?? task.why ?? ""));
  return [...new Set(said)].filter((text) => text !== "").map((text) => ` (${text})`).join("");
}

async function comesBack(scene: Scene, before: TaskView[]): Promise<StepResult<TaskView[]>> {
  const { deps, steps, setup, cluster, signal } = scene;
  const victim = before[1] ?? before[0];
  if (!victim) return { ok: false, message: "there is no task to kill" };
  const key = keyOf(victim);
  const killed = await steps.step(
    `killing the container of ${victim.name}`,
    () => kill(scene, victim),
    () =>
      setup.sim
        ? `Killed worker ${victim.node}, and with it the simulated container of ${victim.name}`
        : `Killed the container of ${victim.name} on ${victim.node}`,
  );
  if (!killed.ok) return killed;
  return await steps.step(`${victim.name} is coming back`, async (update) => {
    const again = await waitUntil(
      () => cluster.client.listTasks({ service: victim.serviceId }),
      (page) => {
        update(summary(page.items));
        const all = allRun(page.items);
        return all?.some((task) => keyOf(task) === key) ? undefined : all;
      },
      { clock: deps.clock, timeoutMs: UP_TIMEOUT_MS, signal },
    );
    return stepOf(again, `${victim.name} did not come back`);
  }, (tasks) => {
    const now = tasks.find((task) => task.slot === victim.slot);
    const how = now?.id === victim.id ? "started again in place" : `replaced on ${now?.node}`;
    return `${victim.name} is back: ${how}`;
  });
}

async function kill(
  { setup, cluster }: Scene,
  victim: TaskView,
): Promise<StepResult<undefined>> {
  if (setup.sim) {
    cluster.workers.find((worker) => worker.name === victim.node)?.kill();
    return { ok: true, value: undefined };
  }
  const killed = await setup.engine.kill(victim.observed?.containerId ?? "");
  return killed.ok ? { ok: true, value: undefined } : killed;
}

/** One run of one container: what a killed one had, and its successor does not share. */
function keyOf({ id, observed }: TaskView): string {
  return [id, observed?.attempt, observed?.containerId, observed?.startedAt].join("/");
}

function allRun(tasks: TaskView[]): TaskView[] | undefined {
  const running = tasks.filter((task) => task.state === "running" && task.desired === "run");
  return running.length >= REPLICAS ? running.sort((a, b) => a.slot - b.slot) : undefined;
}

function summary(tasks: TaskView[]): string {
  return tasks.filter((task) => !isTerminal(task.state)).sort((a, b) => a.slot - b.slot)
    .map((task) => `${task.name} ${task.state}`).join("  ") || "no tasks yet";
}

function showTasks({ deps, steps, setup }: Scene, tasks: TaskView[]): void {
  const paint = style(deps.view.color);
  for (const task of tasks) {
    const where = setup.sim ? "" : urls(task)[0] ?? "";
    const state = taskPaint(task, paint)(task.state.padEnd(8));
    const line = `    ${task.name.padEnd(9)} ${(task.node ?? "").padEnd(8)} ${state} ${where}`;
    steps.say(line.trimEnd());
  }
}

/** Asks the first task for its page, as any client would. */
async function showPage({ deps, steps, signal }: Scene, tasks: TaskView[]): Promise<void> {
  const url = tasks.flatMap((task) => urls(task))[0];
  if (url === undefined) return;
  const page = await waitUntil(
    async () => {
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(PAGE_TIMEOUT_MS) });
        return { ok: true as const, value: (await response.text()).trim().split("\n")[0] };
      } catch {
        return { ok: true as const, value: undefined }; // It runs, but does not listen yet.
      }
    },
    (text) => text,
    { clock: deps.clock, timeoutMs: PAGE_TIMEOUT_MS, signal },
  );
  if (page.kind === "done") steps.say(`    ${style(deps.view.color).dim(url)} says: ${page.value}`);
}

/**
 * Removes the sample and waits until its containers are gone: the cluster forgets a service once
 * nothing of it runs, which is a moment before the agents have removed what is left.
 */
export async function removeSample({ deps, steps, setup, cluster }: Omit<Scene, "signal">) {
  return await steps.step("removing the sample", async () => {
    const removed = await cluster.client.deleteService(SAMPLE_NAME);
    if (!removed.ok) {
      return isNotFound(removed.error)
        ? { ok: true as const, value: true as const }
        : failed("the sample could not be removed", removed);
    }
    const gone = await waitUntil(
      async () => {
        const answer = await cluster.client.getService(removed.value.id);
        if (answer.ok) return { ok: true as const, value: false };
        return isNotFound(answer.error) ? { ok: true as const, value: true } : answer;
      },
      (is) => is || undefined,
      { clock: deps.clock, timeoutMs: UP_TIMEOUT_MS },
    );
    if (gone.kind !== "done" || setup.sim) return stepOf(gone, "the sample is not gone yet");
    return await containersGone({ deps, setup, cluster });
  }, () => "Removed the sample and its containers");
}

async function containersGone(
  { deps, setup, cluster }: Pick<Scene, "deps" | "setup" | "cluster">,
): Promise<StepResult<true>> {
  const nodes = await cluster.client.listNodes({ limit: 500 });
  if (!nodes.ok) return failed("the nodes could not be listed", nodes);
  let last = "";
  const none = await waitUntil(
    async () => {
      const counted = await setup.engine.count(nodes.value.items.map((node) => node.id));
      last = counted.ok ? `${counted.containers} are left` : counted.message;
      return { ok: true as const, value: counted.ok && counted.containers === 0 };
    },
    (is) => is || undefined,
    { clock: deps.clock, timeoutMs: GONE_TIMEOUT_MS },
  );
  return none.kind === "done"
    ? { ok: true, value: true }
    : { ok: false, message: `the sample's containers are not gone: ${last}` };
}

function stepOf<T>(waited: Waited<T>, what: string): StepResult<T> {
  switch (waited.kind) {
    case "done":
      return { ok: true, value: waited.value };
    case "timeout":
      return { ok: false, message: `${what} within ${UP_TIMEOUT_MS / 1000} s` };
    case "aborted":
      return { ok: false, message: "interrupted" };
    case "error":
      return failed(what, waited);
  }
}

function failed(
  what: string,
  { error }: { error: CallError },
): { ok: false; message: string } {
  return { ok: false, message: `${what}: ${describeError(error)}` };
}
