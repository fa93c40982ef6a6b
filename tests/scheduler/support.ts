/**
 * What tests of the leader's tick work on: a database with two nodes, a clock that is set by hand, and control
 * planes on it.
 *
 * @module
 */
import { assert } from "@std/assert";
import { initCluster } from "../../kv/cluster.ts";
import { prefix } from "../../kv/keys.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { Task } from "../../kv/schema/task.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { createService } from "../../kv/services.ts";
import { type Kv, listRows } from "../../kv/store.ts";
import type { TickDeps } from "../../scheduler/term.ts";
import { createTicker, type Ticker } from "../../scheduler/tick.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { seedNode, specOf } from "../support/seed.ts";

export const READY = { state: "ready" as const, since: "2030-01-01T00:00:00.000Z", why: "test" };

export interface Bench {
  kv: Kv;
  newId: () => string;
  /** A control plane of its own on the same database. */
  ticker(
    options?: Partial<TickDeps>,
  ): Ticker & { logged: string[] };
  create(name: string, replicas: number, more?: Partial<ServiceSpecInput>): Promise<string>;
  clock: Clock;
  tasks(): Promise<Task[]>;
  pass(ms: number): void;
}

export function withBench(run: (bench: Bench) => Promise<void>): Promise<void> {
  return withKv(async (kv) => {
    const newId = countingIds(1000);
    const time = { ms: 0 };
    const clock = {
      wallMs: () => 1_900_000_000_000 + time.ms,
      monoMs: () => time.ms,
      sleep: () => Promise.resolve(),
    };
    await initCluster(kv, { newId, wallMs: clock.wallMs() });
    await seedNode(kv, idOf(1), "n1", READY);
    await seedNode(kv, idOf(2), "n2", READY);
    const bench: Bench = {
      kv,
      newId,
      clock,
      ticker(options = {}) {
        const logged: string[] = [];
        const ticker = createTicker({
          ...{ kv, clock, newId, replicaId: newId(), exclusive: true },
          ...{ nodeTtlMs: 86_400_000, leaderTtlMs: 5000, historyLimit: 5, logLimit: 100 },
          ...options,
          log: (_level, message) => void logged.push(message),
          ...(options.breathe ? { breathe: options.breathe } : {}),
        });
        return { ...ticker, logged };
      },
      async create(name, replicas, more = {}) {
        const spec = specOf({ name, mode: { type: "replicated", replicas }, ...more });
        const created = await createService({ kv, clock, newId }, spec);
        assert(created.ok);
        return created.value.value.id;
      },
      async tasks() {
        const tasks: Task[] = [];
        for await (const { row } of listRows(kv, prefix.tasks(), Task)) tasks.push(row);
        return tasks;
      },
      pass: (ms) => void (time.ms += ms),
    };
    await run(bench);
  });
}
