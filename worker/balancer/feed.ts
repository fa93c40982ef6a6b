/**
 * Keeps the table of endpoints up to date.
 *
 * 1. The last table is kept in the state directory. An agent that starts while the control plane is away
 *    works with it, and one that loses the control plane goes on with what it knows.
 * 2. An answer takes effect before it is saved: a disk that is full or slow delays no connection.
 *
 * @module
 */
import { z } from "zod";
import { type Client, describeError } from "../../api/client.ts";
import { Id } from "../../kv/schema/common.ts";
import { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import { messageOf, writeFileAtomically } from "../state_file.ts";
import { createBackOff, createWake } from "../wake.ts";
import { applyAnswer, type Table } from "./table.ts";

const StoredTable = z.object({
  format: z.literal(1),
  nodeId: Id,
  version: z.int().min(0),
  services: z.array(ServiceEndpoints),
});
type StoredTable = z.infer<typeof StoredTable>;

/** Where the table is kept between two lives of the agent. `save` rejects when it cannot be written. */
export interface TableStore {
  load(): Promise<{ table?: StoredTable; warning?: string }>;
  save(table: StoredTable): Promise<void>;
}

export interface FeedDeps {
  client: Pick<Client, "pollEndpoints">;
  nodeId: string;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
  store: TableStore;
}

const HOLD_MS = 20_000;
const RETRY = { firstMs: 100, maxMs: 2_000 } as const;
/** Between two polls that brought nothing: a server that does not hold polls must not be flooded. */
const SPACING_MS = 100;
/** Between two writes of the file, in writes' durations: the table of a large cluster is large. */
const SAVE_SPACING = { writes: 20, minMs: 50, maxMs: 2_000 } as const;

/** Calls back with each new table, the stored one first, until the signal aborts. */
export async function followEndpoints(
  deps: FeedDeps,
  onTable: (table: Table) => void,
  signal: AbortSignal,
): Promise<void> {
  const { client, nodeId, clock, random, log } = deps;
  let table = await loadTable(deps);
  if (table) onTable(table);
  const saver = createSaving(deps);
  const saving = saver.run(signal);
  const backOff = createBackOff({ ...RETRY, random });
  let fails = false;
  while (!signal.aborted) {
    const beganMs = clock.monoMs();
    const answered = await client.pollEndpoints(nodeId, {
      holdMs: HOLD_MS,
      ...(table ? { since: table.version } : {}),
    }, { signal });
    if (signal.aborted) break;
    if (!answered.ok) {
      if (!fails) {
        log("warn", "cannot read the endpoints; going on with those that are known", {
          reason: describeError(answered.error),
        });
      }
      fails = true;
      await clock.sleep(backOff.nextMs(), signal);
      continue;
    }
    fails = false;
    backOff.reset();
    const before = table;
    table = applyAnswer(table, answered.value);
    if (table.services !== before?.services) {
      onTable(table); // invariant 2
      saver.put(table);
    } else {
      const restMs = SPACING_MS - (clock.monoMs() - beganMs);
      if (restMs > 0) await clock.sleep(restMs, signal);
    }
  }
  await saving;
}

async function loadTable({ store, nodeId, log }: FeedDeps): Promise<Table | undefined> {
  const { table, warning } = await store.load();
  if (warning !== undefined) log("warn", "the known endpoints are lost", { reason: warning });
  // Another identity's is another cluster's, perhaps.
  if (!table || table.nodeId !== nodeId) return undefined;
  return applyAnswer(undefined, { ...table, full: true, removed: [] });
}

/** Writes the newest table, one at a time, and not too often. */
function createSaving({ store, nodeId, clock, log }: FeedDeps) {
  const bell = createWake(clock);
  let next: Table | undefined;
  let told = false;
  async function save(): Promise<void> {
    if (!next) return;
    const { version, services } = next;
    next = undefined;
    try {
      await store.save({ format: 1, nodeId, version, services: [...services.values()] });
      told = false;
    } catch (error) {
      if (!told) log("error", "cannot save the endpoints", { reason: messageOf(error) });
      told = true;
    }
  }
  return {
    put(table: Table) {
      next = table;
      bell.ring();
    },
    async run(signal: AbortSignal) {
      while (!signal.aborted) {
        await bell.wait(signal);
        const beganMs = clock.monoMs();
        await save();
        const { writes, minMs, maxMs } = SAVE_SPACING;
        const restMs = writes * (clock.monoMs() - beganMs);
        await clock.sleep(Math.min(maxMs, Math.max(minMs, restMs)), signal);
      }
      await save();
    },
  };
}

/** A file in `dir`, which must exist. */
export function createTableStore(dir: string): TableStore {
  const path = `${dir}/endpoints.json`;
  return {
    async load() {
      let text: string;
      try {
        text = await Deno.readTextFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return {};
        return { warning: `cannot read ${path}: ${messageOf(error)}` };
      }
      try {
        return { table: StoredTable.parse(JSON.parse(text)) };
      } catch (error) {
        return { warning: `${path} is damaged: ${messageOf(error).slice(0, 200)}` };
      }
    },
    save: (table) => writeFileAtomically(path, JSON.stringify(table)),
  };
}
