/**
 * Runs on request, and all runs of a service as people see them.
 *
 * @module
 */
import { recordUse, writeOnce } from "./idempotency.ts";
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse, type Written } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { enqueue } from "./queue.ts";
import { timestamp } from "./schema/common.ts";
import { Run, type RunRequest, type RunView } from "./schema/run.ts";
import type { Service } from "./schema/service.ts";
import { isTerminal } from "./schema/task_state.ts";
import { findService, type ServiceRef } from "./service_reads.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import type { ServiceDeps, WriteOptions } from "./services.ts";
import { getRow, type Kv, listRows, storeFailure } from "./store.ts";

type TaskRows = Awaited<ReturnType<typeof readTasks>>[number];

/** Asks for a run now: one commit with the wake-up of the leader. */
export async function createRun(
  deps: ServiceDeps,
  ref: ServiceRef,
  request: RunRequest,
  { once }: Pick<WriteOptions, "once"> = {},
): Promise<Outcome<Written<RunView>>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `service ${ref.ref}`, {
    async replay(use) {
      const found = await findService(kv, ref);
      if (!found.ok) return found;
      const views = await runViews(kv, found.value.row);
      const view = views.find(({ id }) => id === use.objectId);
      if (view) return done({ value: view, replay: use.status });
      return refuse("not-found", "this run was asked for before; it is gone from the history", {
        hint: "Use a new Idempotency-Key for a new run.",
      });
    },
    async attempt() {
      const found = await findService(kv, ref);
      if (!found.ok) return found;
      const { row: service, versionstamp } = found.value;
      const refused = refuseRun(service);
      if (refused) return refused;
      const at = timestamp(deps.clock.wallMs());
      const row: Run = { ...request, id: deps.newId(), serviceId: service.id, at };
      // The check: a service that is being removed gets no run that nobody would clear away.
      const op = kv.atomic().check({ key: key.service(service.id), versionstamp })
        .set(key.run(service.id, row.id), row);
      recordUse(op, once, { status: 201, objectId: row.id });
      enqueue(op, { kind: "service", id: service.id }, deps.newId);
      const committed = await commitRun(op, service);
      if (!committed.ok) return committed;
      return committed.value ? done({ value: runView(service, row, []) }) : undefined;
    },
  });
}

function refuseRun({ name, mode, stopped, deleting }: Service) {
  if (mode.type !== "job" && mode.type !== "cron") {
    return refuse("busy", `service ${name} is ${mode.type}: its tasks run all the time`, {
      hint: "Only job and cron services have runs.",
    });
  }
  if (deleting) return refuse("busy", `service ${name} is being removed`);
  if (!stopped) return undefined;
  return refuse("busy", `service ${name} is stopped`, {
    hint: `Start it first: berth start ${name}`,
  });
}

async function commitRun(
  op: Deno.AtomicOperation,
  { name }: Service,
): Promise<Outcome<boolean>> {
  try {
    return done((await op.commit()).ok);
  } catch (error) {
    if (storeFailure(error)?.kind !== "too-large") throw error;
    return refuse("too-large", `the arguments of this run of ${name} are over 64 KiB`, {
      hint: "Shorten command and env.",
      errors: [{ field: "command", message: "must fit into 64 KiB together with env" }],
    });
  }
}

/** Runs of a service, newest first. Few: the leader keeps as many as the mode says. */
export async function listRuns(
  kv: Kv,
  ref: ServiceRef,
  query: PageQuery,
): Promise<Outcome<Page<RunView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 1);
  if (!cursor.ok) return cursor;
  const found = await findService(kv, ref);
  if (!found.ok) return found;
  const [from] = cursor.value;
  const views = (await runViews(kv, found.value.row)).sort((a, b) => a.id < b.id ? 1 : -1)
    .filter(({ id }) => from === undefined || id <= from);
  const next = views[query.limit];
  return done({
    items: views.slice(0, query.limit),
    ...(next ? { next: encodeCursor([next.id]) } : {}),
  });
}

async function runViews(kv: Kv, service: Service): Promise<RunView[]> {
  const asked = new Map<string, Run>();
  for await (const { row } of listRows(kv, prefix.runs(service.id), Run)) asked.set(row.id, row);
  const tasks = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(service.id)));
  const bySlot = new Map<number, TaskRows[]>();
  for (const rows of tasks) {
    if (!rows.task.run && rows.task.runId === undefined) continue;
    const tries = bySlot.get(rows.task.slot);
    if (tries) tries.push(rows);
    else bySlot.set(rows.task.slot, [rows]);
  }
  const views: RunView[] = [];
  for (const tries of bySlot.values()) {
    const runId = tries[0]?.task.runId;
    const run = runId === undefined ? undefined : asked.get(runId);
    if (runId !== undefined) asked.delete(runId);
    views.push(runView(service, run, tries));
  }
  for (const run of asked.values()) views.push(runView(service, run, []));
  return views;
}

function runView(service: Service, run: Run | undefined, tries: readonly TaskRows[]): RunView {
  const newest = tries.at(-1);
  const scheduled = newest?.task.run;
  const why = newest?.observed?.message ?? newest?.task.why;
  const exitCode = newest?.observed?.exitCode;
  return {
    id: newest?.task.runId ?? run?.id ?? tries[0]?.task.id ?? "",
    serviceId: service.id,
    trigger: scheduled ? "schedule" : "request",
    ...scheduled,
    ...(run ? { requestedAt: run.at, env: run.env } : {}),
    ...(run?.command ? { command: run.command } : {}),
    ...(newest ? { slot: newest.task.slot, taskId: newest.task.id } : {}),
    tries: tries.length,
    state: newest?.state ?? "pending",
    ended: newest !== undefined && isEnded(service, newest),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(why === undefined ? {} : { why }),
  };
}

/** As the leader decides it. */
function isEnded({ mode, stopped, deleting }: Service, { task, state }: TaskRows): boolean {
  if (!isTerminal(state)) return false;
  if (state === "succeeded" || task.over || stopped || deleting) return true;
  if (task.desired === "stop" || (state !== "failed" && state !== "rejected")) return false;
  return "retries" in mode && task.failures >= mode.retries;
}

/** The row of one run, or nothing when it is gone. */
export async function readRun(kv: Kv, serviceId: string, runId: string): Promise<Run | undefined> {
  return (await getRow(kv, key.run(serviceId, runId), Run))?.row;
}
