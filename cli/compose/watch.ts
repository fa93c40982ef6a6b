/**
 * Looking at a project again and again, once for all who wait.
 *
 * @module
 */
import type { CallError, Client } from "../../api/client.ts";
import type { EventView } from "../../kv/schema/event.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { listAll } from "../find.ts";
import { waitUntil } from "../wait.ts";

export interface Snapshot {
  services: ReadonlyMap<string, ServiceView>;
  tasks: readonly TaskView[];
}

export type Waited<T> =
  | { kind: "done"; value: T }
  | { kind: "timeout" }
  | { kind: "aborted" }
  | { kind: "error"; error: CallError };

export interface Watch {
  /** Resolves once `look` has an answer. */
  until<T>(look: (snapshot: Snapshot) => T | undefined): Promise<Waited<T>>;
  /** Ends what waits, and the listening. The owner must call it. */
  close(): Promise<void>;
}

export interface WatchOptions {
  client: Client;
  clock: Clock;
  project: string;
  timeoutMs: number;
  signal: AbortSignal;
  /** Called with everything that was seen. */
  onSeen?: (snapshot: Snapshot) => void;
}

interface Waiter {
  /** True when it is done waiting. */
  see(snapshot: Snapshot): boolean;
  end(how: Exclude<Waited<never>, { kind: "done" }>): void;
}

/** What happens together is looked at together. */
const COMPANY_MS = 5;
/** Between two looks while the events are heard: for who looks on, since what matters is told. */
const LIVE_MS = 400;

/**
 * It looks only while somebody waits; every look is one list of services and one of tasks. The cluster's
 * events say when to look; who may not see those looks from time to time. Looks cost the machine that the
 * containers start on, if it is the same, so there are few while events are heard.
 */
export function watchProject(options: WatchOptions): Watch {
  const { client, clock, project, timeoutMs, signal, onSeen } = options;
  const waiters = new Set<Waiter>();
  const closed = new AbortController();
  const over = AbortSignal.any([signal, closed.signal]);
  let listening: Promise<void> | undefined;
  let looking: Promise<void> | undefined;
  let live = false;
  let news = false;
  let wakeUp = () => {};

  async function listen(): Promise<void> {
    try {
      for await (const event of client.followEvents({ signal: over })) {
        // From the first one on none is missed; what was told before is looked after once.
        if (live && !isAwaited(event, project)) continue;
        live = true;
        news = true;
        wakeUp();
      }
    } catch {
      // The connection broke, or nobody waits any more.
    }
    live = false;
    listening = undefined;
  }

  async function rest(ms: number): Promise<void> {
    if (!news) {
      const woken = new AbortController();
      wakeUp = () => woken.abort();
      await clock.sleep(live ? Math.max(ms, LIVE_MS) : ms, AbortSignal.any([over, woken.signal]));
      wakeUp = () => {};
    }
    if (news) await clock.sleep(COMPANY_MS, over);
    news = false;
  }

  async function look(): Promise<void> {
    while (waiters.size > 0) {
      listening ??= listen();
      const before = new Set(waiters);
      const ended = await waitUntil(() => snapshotOf(client, project, over), (snapshot) => {
        onSeen?.(snapshot);
        for (const waiter of waiters) if (waiter.see(snapshot)) waiters.delete(waiter);
        return [...before].some((waiter) => !waiters.has(waiter)) || undefined;
      }, { clock, timeoutMs, signal: over, rest });
      if (ended.kind === "done") continue;
      for (const waiter of waiters) waiter.end(ended);
      waiters.clear();
    }
    looking = undefined;
  }

  return {
    until<T>(answer: (snapshot: Snapshot) => T | undefined) {
      return new Promise<Waited<T>>((resolve) => {
        waiters.add({
          see(snapshot) {
            const value = answer(snapshot);
            if (value !== undefined) resolve({ kind: "done", value });
            return value !== undefined;
          },
          end: resolve,
        });
        looking ??= look();
      });
    },
    async close() {
      closed.abort();
      await looking;
      await listening;
    },
  };
}

/** On the way to something else nobody waits for it, and the next look comes soon enough. */
function isAwaited({ type, state, service }: EventView, project: string): boolean {
  if (service !== undefined && !service.startsWith(`${project}/`)) return false;
  if (type === "task.state") return state !== "preparing" && state !== "starting";
  return !/^(task\.(created|assigned|purged|stopping)|service\.changed|node\.)/.test(type);
}

async function snapshotOf(client: Client, project: string, signal: AbortSignal) {
  const [services, tasks] = await Promise.all([
    listAll((query) => client.listServices({ ...query, project }, { signal })),
    listAll((query) => client.listTasks({ ...query, project }, { signal })),
  ]);
  if (!services.ok) return services;
  if (!tasks.ok) return tasks;
  const byName = new Map(services.value.map((view) => [view.name, view]));
  return { ok: true as const, value: { services: byName, tasks: tasks.value } };
}
