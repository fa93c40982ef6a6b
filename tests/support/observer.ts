/**
 * An independent observer of a service's containers: it reads the engine's own event stream, and shares
 * no code with the agent but the connection.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";

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

interface EngineEvent {
  Action: string;
  timeNano: number;
  Actor: { ID: string; Attributes: Record<string, string> };
}

/** Watches the containers that carry the label of this service. */
export async function watchContainers(
  connection: EngineConnection,
  service: string,
): Promise<Observer> {
  if (connection.kind !== "socket") throw new Error("the observer needs an engine on a socket");
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: connection.path } });
  const stop = new AbortController();
  const label = encodeURIComponent(JSON.stringify({ label: [`berth.service=${service}`] }));
  const filters = encodeURIComponent(JSON.stringify({
    type: ["container"],
    label: [`berth.service=${service}`],
    event: ["start", "die"],
  }));
  const stream = await fetch(`http://engine/events?filters=${filters}`, {
    client,
    signal: stop.signal,
  });
  const listed = await fetch(`http://engine/containers/json?filters=${label}`, { client });
  const live = new Set<string>((await listed.json()).map(({ Id }: { Id: string }) => Id));
  let most = live.size;
  let fewest = live.size;
  const history = [`${live.size} at first`];
  const changes = [{ atNano: 0, by: live.size }];
  const startsMs: number[] = [];

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

  const reading = (async () => {
    let rest = "";
    try {
      for await (const text of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.trim() !== "") take(JSON.parse(line));
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  })();

  return {
    running: () => live.size,
    mostAtOnce: () => most,
    fewestAtOnce: () => fewest,
    history: () => history,
    changes: () => changes,
    startsMs: () => startsMs,
    async settle() {
      const now = await fetch(`http://engine/containers/json?filters=${label}`, { client });
      const ids = new Set((await now.json()).map(({ Id }: { Id: string }) => Id));
      const untilMs = performance.now() + 5_000;
      while (ids.symmetricDifference(live).size > 0 && performance.now() < untilMs) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      stop.abort();
      await reading;
      client.close();
    },
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
