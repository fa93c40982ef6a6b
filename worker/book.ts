/**
 * The agent's book: the set it works on and the record of every task. What is written here goes to
 * the state file and to the reporter.
 *
 * 1. A set takes effect as a whole, after it was saved, and only if it is not older than the present one.
 * 2. An attempt and an end are saved before they are acted upon or told (`durable`).
 * 3. When the state cannot be written the agent goes on (containers matter more than the count of
 *    their starts), says so, and saves again as soon as it can.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import type { Observed } from "../kv/schema/task.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Log } from "./log.ts";
import type { Reporter } from "./report.ts";
import { newRecord, stopOptions, type TaskRecord } from "./record.ts";
import {
  type AppliedSet,
  createSaver,
  fromStored,
  type StateStore,
  toStored,
} from "./state_file.ts";

export interface Book {
  /** Reads what an earlier process left. Call it once, before anything else. */
  load(): Promise<void>;
  /** Absent until one is known. */
  readonly set: AppliedSet | undefined;
  /** A poll has confirmed or replaced the set in this life of the agent. */
  confirmed: boolean;
  readonly records: ReadonlyMap<string, TaskRecord>;
  /** Makes a complete set the present one; returns the tasks for which that changes something. */
  apply(version: number, assignments: readonly Assignment[]): Promise<string[]>;
  note(record: TaskRecord, options: { durable: boolean }): Promise<void>;
  /** The task is over and its container gone. */
  forget(taskId: string): Promise<void>;
  /** The server knows a later attempt than the record (the state was lost): go on from it. */
  raise(taskId: string, attempt: number): Promise<void>;
  /** The row of every task, as it would be reported now. */
  rows(): Observed[];
  /** Saves if the last save failed. */
  flush(): Promise<void>;
}

export interface BookDeps {
  nodeId: string;
  state: StateStore;
  reporter: Reporter;
  clock: Clock;
  log: Log;
}

export function createBook({ nodeId, state, reporter, clock, log }: BookDeps): Book {
  const records = new Map<string, TaskRecord>();
  let set: AppliedSet | undefined;
  /** Being saved, not in effect yet. */
  let staged: { set: AppliedSet; records: Map<string, TaskRecord> } | undefined;
  let unsaved = false;

  const saver = createSaver(async () => {
    const next = staged?.set ?? set;
    if (!next) return;
    const all = [...records.values(), ...(staged?.records.values() ?? [])];
    await state.save(toStored(nodeId, next, all, clock.monoMs()));
  }, (message) => log("error", "cannot save the agent's state", { reason: message }));

  async function save(): Promise<void> {
    unsaved = !await saver.save(); // invariant 3
  }

  return {
    confirmed: false,
    get set() {
      return set;
    },
    records,
    async load() {
      const loaded = await state.load();
      if (loaded.warning !== undefined) {
        log("warn", "the agent's state is lost; adopting containers by their labels", {
          reason: loaded.warning,
        });
      }
      if (!loaded.state) return;
      if (loaded.state.nodeId !== nodeId) {
        log("warn", "the agent's state is another node's; it is not used", {
          nodeId: loaded.state.nodeId,
        });
        return;
      }
      const restored = fromStored(loaded.state, clock.monoMs());
      set = restored.set;
      for (const [taskId, record] of restored.records) {
        records.set(taskId, record);
        reporter.put(record.observed);
      }
    },
    async apply(version, assignments) {
      if (set && version < set.version) return []; // invariant 1
      const next = new Map(assignments.map((a) => [a.taskId, a]));
      const before = set?.assignments ?? new Map<string, Assignment>();
      const fresh = assignments.filter((a) => !records.has(a.taskId));
      staged = {
        set: { version, assignments: next },
        records: new Map(fresh.map((a) => [a.taskId, newRecord(a)])),
      };
      await save(); // invariant 1
      set = staged.set;
      for (const [taskId, record] of staged.records) {
        records.set(taskId, record);
        reporter.put(record.observed);
      }
      staged = undefined;
      for (const { taskId, template } of assignments) {
        const record = records.get(taskId);
        if (record) record.stop = stopOptions(template);
      }
      const changed = assignments.filter((a) => before.get(a.taskId)?.desired !== a.desired);
      const gone = [...before.keys()].filter((taskId) => !next.has(taskId));
      return [...changed.map((a) => a.taskId), ...gone];
    },
    async note(record, { durable }) {
      records.set(record.observed.taskId, record);
      if (durable) await save(); // invariant 2
      reporter.put(records.get(record.observed.taskId)?.observed ?? record.observed);
    },
    async forget(taskId) {
      records.delete(taskId);
      reporter.release(taskId);
      await save();
    },
    async raise(taskId, attempt) {
      const record = records.get(taskId);
      if (!record || record.observed.attempt >= attempt) return;
      const raised = { ...record, observed: { ...record.observed, attempt } };
      records.set(taskId, raised);
      await save(); // invariant 2
      reporter.put(records.get(taskId)?.observed ?? raised.observed);
    },
    rows: () => Array.from(records.values(), (record) => record.observed),
    async flush() {
      if (unsaved) await save();
    },
  };
}
