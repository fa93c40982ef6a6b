/**
 * Finding things: whole lists, and what a name or id refers to.
 *
 * @module
 */
import type { CallError, Client, Result } from "../api/client.ts";
import type { ServiceView } from "../kv/schema/service.ts";
import type { TaskView } from "../kv/schema/task.ts";

const PAGE = 500;
/** 500,000 rows: more than anybody reads, and a bound. */
const MAX_PAGES = 1000;

/** All pages of a list. */
export async function listAll<T>(
  page: (
    query: { limit: number; cursor?: string },
  ) => Promise<Result<{ items: T[]; next?: string | undefined }>>,
): Promise<Result<T[]>> {
  const all: T[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const answer = await page({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    if (!answer.ok) return answer;
    for (const item of answer.value.items) all.push(item);
    cursor = answer.value.next;
    if (cursor === undefined) break;
  }
  return { ok: true, value: all };
}

/** A name with its project: `shop/web` says both, as lists print it. */
export function refOf(
  ref: string,
  project: string | undefined,
): { name: string; project?: string } {
  const at = ref.indexOf("/");
  if (at > 0) return { name: ref.slice(at + 1), project: ref.slice(0, at) };
  return { name: ref, ...(project === undefined ? {} : { project }) };
}

export function isNotFound(error: CallError): boolean {
  return error.kind === "problem" && error.problem.status === 404;
}

export type Found =
  | { kind: "service"; service: ServiceView; tasks: TaskView[] }
  | { kind: "task"; task: TaskView };

/** What TASK|SERVICE refers to: a service by name or id, else a task by id, end of id, or name. */
export async function findTaskOrService(
  client: Client,
  ref: string,
  givenProject: string | undefined,
): Promise<Result<Found>> {
  const { name, project } = refOf(ref, givenProject);
  // A service's name has no dot, a task's has one: try the likelier first.
  const first = name.includes(".") ? task : service;
  const second = first === task ? service : task;
  const found = await first();
  if (found.ok || !isNotFound(found.error)) return found;
  const other = await second();
  return !other.ok && isNotFound(other.error) ? noSuch("service or task", name, project) : other;

  async function task(): Promise<Result<Found>> {
    const answer = await client.getTask(name, project);
    return answer.ok ? { ok: true, value: { kind: "task", task: answer.value } } : answer;
  }
  async function service(): Promise<Result<Found>> {
    const answer = await client.getService(name, project);
    if (!answer.ok) return answer;
    const tasks = await listTasksOf(client, answer.value);
    if (!tasks.ok) return tasks;
    return { ok: true, value: { kind: "service", service: answer.value, tasks: tasks.value } };
  }
}

/** All tasks of a service, by slot and then by age. */
export async function listTasksOf(
  client: Client,
  service: Pick<ServiceView, "id" | "project">,
): Promise<Result<TaskView[]>> {
  const tasks = await listAll((query) =>
    client.listTasks({ ...query, service: service.id, project: service.project })
  );
  if (tasks.ok) tasks.value.sort((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1));
  return tasks;
}

/** A "not found" that names everything that was looked for. */
export function noSuch(kind: string, ref: string, project: string | undefined): Result<never> {
  const where = project === undefined ? "" : ` in project ${project}`;
  return {
    ok: false,
    error: {
      kind: "problem",
      problem: {
        type: "about:blank",
        title: "Not found",
        status: 404,
        detail: `there is no ${kind} "${ref}"${where}`,
      },
    },
  };
}
