/**
 * What an agent must remember across its own death: the last set of assignments, and per task the
 * attempt and how it ended. One JSON document, replaced as a whole by a rename, so a kill in the
 * middle leaves the old one. It is not forced to the disk: after a power cut no container runs, and an
 * old document is enough to read from the exited containers what happened.
 *
 * @module
 */
import { z } from "zod";
import { Assignment } from "../kv/schema/agent.ts";
import { Hook } from "../kv/schema/container.ts";
import { Observed } from "../kv/schema/task.ts";
import { Id } from "../kv/schema/common.ts";
import type { TaskRecord } from "./record.ts";

/** Monotonic readings mean nothing to the next process, so the document holds ages and waits. */
const StoredTask = z.object({
  observed: Observed,
  startedBefore: z.string().optional(),
  run: z.string().optional(),
  restartAgesMs: z.array(z.number().min(0)),
  waitMs: z.number().min(0).optional(),
  hooked: z.string().optional(),
  stop: z.object({
    graceMs: z.number().min(0),
    signal: z.string().optional(),
    preStop: z.array(Hook).optional(),
  }),
});

type StoredTask = z.infer<typeof StoredTask>;

export const AgentState = z.object({
  format: z.literal(1),
  nodeId: Id,
  /** Of the set of assignments. */
  version: z.int().min(0),
  assignments: z.array(Assignment),
  tasks: z.array(StoredTask),
});
export type AgentState = z.infer<typeof AgentState>;

/** Where the state is kept. `save` rejects when it cannot be written. */
export interface StateStore {
  /** The stored state, or none and why (`warning` is absent when there never was one). */
  load(): Promise<{ state?: AgentState; warning?: string }>;
  save(state: AgentState): Promise<void>;
}

/** The set that an agent works on. */
export interface AppliedSet {
  version: number;
  assignments: ReadonlyMap<string, Assignment>;
}

/** Records as they are stored, of those that no time is part of. */
const timeless = new WeakMap<TaskRecord, StoredTask>();

function toStoredTask(record: TaskRecord, nowMs: number): StoredTask {
  const known = timeless.get(record);
  if (known && known.stop === record.stop) return known; // all else of a record is replaced with it
  const { restartsMs, dueMs, ...rest } = record;
  const stored = {
    ...rest,
    restartAgesMs: restartsMs.map((atMs) => Math.max(0, nowMs - atMs)),
    ...(dueMs === undefined ? {} : { waitMs: Math.max(0, dueMs - nowMs) }),
  };
  if (restartsMs.length === 0 && dueMs === undefined) timeless.set(record, stored);
  return stored;
}

export function toStored(
  nodeId: string,
  set: AppliedSet,
  records: Iterable<TaskRecord>,
  nowMs: number,
): AgentState {
  return {
    format: 1,
    nodeId,
    version: set.version,
    assignments: [...set.assignments.values()],
    tasks: Array.from(records, (record) => toStoredTask(record, nowMs)),
  };
}

/** The time between the two processes counts as none: budgets err on the side of caution. */
export function fromStored(
  state: AgentState,
  nowMs: number,
): { set: AppliedSet; records: Map<string, TaskRecord> } {
  const records = new Map<string, TaskRecord>();
  for (const { restartAgesMs, waitMs, startedBefore, run, hooked, stop, observed } of state.tasks) {
    records.set(observed.taskId, {
      observed,
      ...(startedBefore === undefined ? {} : { startedBefore }),
      ...(run === undefined ? {} : { run }),
      ...(hooked === undefined ? {} : { hooked }),
      restartsMs: restartAgesMs.map((ageMs) => nowMs - ageMs),
      ...(waitMs === undefined ? {} : { dueMs: nowMs + waitMs }),
      stop: {
        graceMs: stop.graceMs,
        ...(stop.signal === undefined ? {} : { signal: stop.signal }),
        ...(stop.preStop === undefined ? {} : { preStop: stop.preStop }),
      },
    });
  }
  const assignments = new Map(state.assignments.map((a) => [a.taskId, a]));
  return { set: { version: state.version, assignments }, records };
}

/** A store in `dir`, which must exist. The file has mode 0600, since templates may hold secrets. */
export function createFileStore(dir: string): StateStore {
  const path = `${dir}/state.json`;
  return {
    async load() {
      let text: string;
      try {
        text = await Deno.readTextFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return {};
        return { warning: `cannot read ${path}: ${messageOf(error)}` };
      }
      const parsed = parseState(text);
      if (parsed.ok) return { state: parsed.state };
      const aside = `${path}.damaged`;
      const kept = await Deno.rename(path, aside).then(() => aside, () => path);
      return { warning: `${path} is damaged (${parsed.why}); kept as ${kept}` };
    },
    save: (state) => writeFileAtomically(path, textOf(state)),
  };
}

/** JSON of assignments and tasks by the objects themselves: most are as they were at the last save. */
const texts = new WeakMap<object, string>();

/** The state as JSON, made for what is new in it only: with many tasks every step of each saves it. */
function textOf({ assignments, tasks, ...rest }: AgentState): string {
  const list = (items: readonly object[]) => {
    const parts = items.map((item) => {
      const known = texts.get(item);
      if (known !== undefined) return known;
      const text = JSON.stringify(item);
      texts.set(item, text);
      return text;
    });
    return `[${parts.join()}]`;
  };
  const head = JSON.stringify(rest).slice(0, -1);
  return `${head},"assignments":${list(assignments)},"tasks":${list(tasks)}}`;
}

/** For tests and simulated nodes. It keeps what a file would keep: text. */
export function createMemoryStore(initial?: string): StateStore & { text: string | undefined } {
  const store = {
    text: initial,
    load: () => {
      if (store.text === undefined) return Promise.resolve({});
      const parsed = parseState(store.text);
      return Promise.resolve(
        parsed.ok ? { state: parsed.state } : { warning: `the state is damaged (${parsed.why})` },
      );
    },
    save: (state: AgentState) => {
      store.text = JSON.stringify(state);
      return Promise.resolve();
    },
  };
  return store;
}

function parseState(text: string): { ok: true; state: AgentState } | { ok: false; why: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { ok: false, why: messageOf(error) };
  }
  const parsed = AgentState.safeParse(json);
  return parsed.success
    ? { ok: true, state: parsed.data }
    : { ok: false, why: z.prettifyError(parsed.error).replaceAll("\n", " ").slice(0, 200) };
}

/** Replaces `path` in one step, mode 0600; `flush` forces it to the disk first. */
export async function writeFileAtomically(
  path: string,
  text: string,
  { flush = false } = {},
): Promise<void> {
  const temporary = `${path}.new`;
  {
    using file = await Deno.open(temporary, {
      create: true,
      write: true,
      truncate: true,
      mode: 0o600,
    });
    const bytes = new TextEncoder().encode(text);
    for (let offset = 0; offset < bytes.length;) {
      offset += await file.write(bytes.subarray(offset));
    }
    if (flush) await file.syncData();
  }
  await Deno.rename(temporary, path);
}

/**
 * Saves in groups: one write at a time, and all that asked during it share the next one. `save`
 * resolves once a document taken after the call is written; false if it could not be.
 */
export function createSaver(
  write: () => Promise<void>,
  onError: (message: string) => void,
): { save(): Promise<boolean> } {
  let current: Promise<boolean> | undefined;
  let next: Promise<boolean> | undefined;
  const begin = (): Promise<boolean> => {
    const written = write().then(() => true, (error) => {
      onError(messageOf(error));
      return false;
    }).finally(() => {
      if (current === written) current = undefined;
    });
    return current = written;
  };
  return {
    save() {
      if (!current) return begin();
      return next ??= current.then(() => {
        next = undefined;
        return begin();
      });
    },
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
