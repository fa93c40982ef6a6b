/**
 * An independent observer of a service's containers: it reads the engine's own event stream, and shares
 * no code with the agent but the connection.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { type EngineEvent, watchEngine } from "./engine_watch.ts";

export interface Observer {
  /** How many run now, as far as events tell. */
  running(): number;
  mostAtOnce(): number;
  fewestAtOnce(): number;
  /** One line an event. */
  history(): string[];
  /** Monotonic ms at which each start came. */
  startsMs(): number[];
  /** Waits until all events up to now have been read. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Watches the containers that carry the label of this service. */
export async function watchContainers(
  connection: EngineConnection,
  service: string,
): Promise<Observer> {
  const live = new Set<string>();
  const history: string[] = [];
  const startsMs: number[] = [];
  let most = 0;
  let fewest = 0;

  function take({ Action, timeNano, Actor }: EngineEvent): void {
    if (Action === "start") {
      live.add(Actor.ID);
      startsMs.push(performance.now());
    } else live.delete(Actor.ID);
    most = Math.max(most, live.size);
    fewest = Math.min(fewest, live.size);
    history.push(`${timeNano} ${Action} ${Actor.Attributes["name"]}: ${live.size} run`);
  }

  const label = `berth.service=${service}`;
  const watch = await watchEngine(connection, { label, events: ["start", "die"] }, take);
  const runningNow = async () =>
    new Set((await watch.list()).filter((c) => c.State === "running").map(({ Id }) => Id));
  for (const id of await runningNow()) live.add(id);
  most = fewest = live.size;
  history.push(`${live.size} at first`);

  return {
    running: () => live.size,
    mostAtOnce: () => most,
    fewestAtOnce: () => fewest,
    history: () => history,
    startsMs: () => startsMs,
    async settle() {
      const ids = await runningNow();
      const untilMs = performance.now() + 5_000;
      while (ids.symmetricDifference(live).size > 0 && performance.now() < untilMs) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    close: watch.close,
  };
}
