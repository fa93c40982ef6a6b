/**
 * The engine as seen from outside Berth: its own event stream and list of containers, read over its
 * socket without any of the worker's code.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";

export interface EngineEvent {
  Action: string;
  timeNano: number;
  Actor: { ID: string; Attributes: Record<string, string> };
}

export interface ListedContainer {
  Id: string;
  State: string;
  Labels: Record<string, string>;
}

export interface EngineWatch {
  /** The containers that carry the labels, whatever their state. */
  list(): Promise<ListedContainer[]>;
  /** Removes a container by force, as an operator might. */
  remove(id: string): Promise<void>;
  /** Kills a container's main process. */
  kill(id: string): Promise<void>;
  /** Restarts a container, as `docker restart -t 0` does. */
  restart(id: string): Promise<void>;
  /** Why the stream ended by itself, if it did: from then on events are missed. */
  failure(): string | undefined;
  /** Throws when the stream had ended by itself. */
  close(): Promise<void>;
}

/** Watches the containers that carry all `labels`; `take` is called with each of their `events`, in order. */
export async function watchEngine(
  connection: EngineConnection,
  { labels, events }: { labels: string[]; events: string[] },
  take: (event: EngineEvent) => void,
): Promise<EngineWatch> {
  if (connection.kind !== "socket") throw new Error("the observer needs an engine on a socket");
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: connection.path } });
  const stop = new AbortController();
  let failure: string | undefined;
  const filters = (more: Record<string, string[]>) =>
    encodeURIComponent(JSON.stringify({ label: labels, ...more }));
  const stream = await fetch(
    `http://engine/events?filters=${filters({ type: ["container"], event: events })}`,
    { client, signal: stop.signal },
  );

  async function read(): Promise<void> {
    let rest = "";
    for await (const text of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") take(JSON.parse(line));
    }
  }
  const reading = read().then(() => "it ended", String).then((reason) => {
    if (!stop.signal.aborted) failure = reason;
  });

  async function ask(method: string, path: string): Promise<void> {
    const answer = await fetch(`http://engine${path}`, { client, method });
    await answer.body?.cancel();
    if (!answer.ok && answer.status !== 404 && answer.status !== 409) {
      throw new Error(`${method} ${path}: the engine answered ${answer.status}`);
    }
  }

  return {
    async list() {
      const path = `/containers/json?all=1&filters=${filters({})}`;
      return await (await fetch(`http://engine${path}`, { client })).json();
    },
    remove: (id) => ask("DELETE", `/containers/${id}?force=1&v=1`),
    kill: (id) => ask("POST", `/containers/${id}/kill`),
    restart: (id) => ask("POST", `/containers/${id}/restart?t=0`),
    failure: () => failure,
    async close() {
      stop.abort();
      await reading;
      client.close();
      if (failure !== undefined) throw new Error(`the engine's event stream broke: ${failure}`);
    },
  };
}
