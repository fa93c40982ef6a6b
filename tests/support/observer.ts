/**
 * An independent observer of a service's containers: it reads the engine's own event stream, and shares
 * no code with the agent but the connection.
 *
 * @module
 */
import { systemClock } from "../../kv/schema/time.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { type EngineEvent, watchEngine } from "./engine_watch.ts";

export interface Observer {
  /** How many run now, as far as events tell. */
  running(): number;
  mostAtOnce(): number;
  fewestAtOnce(): number;
  /** One line an event. */
  history(): string[];
  /** How many ran at first, then the change with each event, by the machine's clock in ns. */
  changes(): { atNano: number; by: number }[];
  /** Monotonic ms at which each start came. */
  startsMs(): number[];
  /** Waits until all events up to now have been read. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Watches the containers that carry the label of this service, of whatever project or of this one. */
export async function watchContainers(
  connection: EngineConnection,
  service: string,
  project?: string,
): Promise<Observer> {
  const live = new Set<string>();
  const history: string[] = [];
  const changes: { atNano: number; by: number }[] = [];
  const startsMs: number[] = [];
  let most = 0;
  let fewest = 0;

  function take({ Action, timeNano, Actor }: EngineEvent): void {
    const before = live.size;
    if (Action === "start") {
      live.add(Actor.ID);
      startsMs.push(performance.now());
    } else live.delete(Actor.ID);
    changes.push({ atNano: timeNano, by: live.size - before });
    most = Math.max(most, live.size);
    fewest = Math.min(fewest, live.size);
    history.push(`${timeNano} ${Action} ${Actor.Attributes["name"]}: ${live.size} run`);
  }

  const labels = [`berth.service=${service}`];
  if (project !== undefined) labels.push(`berth.project=${project}`);
  const watch = await watchEngine(connection, { labels, events: ["start", "die"] }, take);
  const runningNow = async () =>
    new Set((await watch.list()).filter((c) => c.State === "running").map(({ Id }) => Id));
  for (const id of await runningNow()) live.add(id);
  const counted = changes.reduce((sum, { by }) => sum + by, 0);
  changes.unshift({ atNano: 0, by: live.size - counted });
  most = fewest = live.size;
  history.push(`${live.size} at first`);

  return {
    running: () => live.size,
    mostAtOnce: () => most,
    fewestAtOnce: () => fewest,
    history: () => history,
    changes: () => changes,
    startsMs: () => startsMs,
    async settle() {
      const ids = await runningNow();
      const untilMs = performance.now() + 5_000;
      while (ids.symmetricDifference(live).size > 0 && performance.now() < untilMs) {
        await systemClock.sleep(20);
      }
    },
    close: watch.close,
  };
}

/** The most that ran at once on all these engines together, which share one machine's clock. */
export function mostAtOnceOver(observers: readonly Observer[]): number {
  const changes = observers.flatMap((one) => one.changes());
  let running = 0;
  let most = 0;
  for (const { by } of changes.sort((a, b) => a.atNano - b.atNano || a.by - b.by)) {
    most = Math.max(most, running += by);
  }
  return most;
}
