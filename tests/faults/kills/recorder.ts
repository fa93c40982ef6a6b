/**
 * Collects the evidence of a campaign: the engine's events about its containers, the API's log across
 * restarts of the server, and at the end what both show.
 *
 * @module
 */
import type { Client } from "../../../api/client.ts";
import type { EventView } from "../../../kv/schema/event.ts";
import type { EngineConnection } from "../../../worker/docker/connect.ts";
import { type EngineEvent, watchEngine } from "../../support/engine_watch.ts";
import type { Evidence, Present, Shown, Sighting } from "./audit.ts";

export interface Recorder {
  /** Reads the API's log on; nothing happens while the server is away. */
  readLog(): Promise<void>;
  /** Everything so far, and the present state of both sides; undefined while the server is away. */
  evidence(): Promise<Omit<Evidence, "wanted" | "kinds"> | undefined>;
  /** Containers of the campaign that the engine has now. */
  present(): Promise<Present[]>;
  /** Forgets what happened so far. */
  forget(): void;
  /** Starts of containers since {@link Recorder.forget}. */
  starts(): number;
  /** Tasks of which a container was started, since then. */
  tasks(): number;
  close(): Promise<void>;
}

const ACTIONS = ["create", "start", "die"] as const;
const PAGE = 500;
const NANOSECONDS = 1_000_000;

export async function record(
  connection: EngineConnection,
  { client, project }: { client: Client; project: string },
): Promise<Recorder> {
  let sightings: Sighting[] = [];
  let events: EventView[] = [];
  let starts = 0;
  let started = new Set<string>();
  let after: string | undefined;

  function take({ Action, timeNano, Actor: { ID, Attributes } }: EngineEvent): void {
    const action = ACTIONS.find((one) => one === Action);
    if (!action) return;
    const exitCode = Attributes["exitCode"];
    const sighting = {
      atMs: timeNano / NANOSECONDS,
      action,
      containerId: ID,
      ...identityOf(Attributes),
      ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }),
    };
    sightings.push(sighting);
    if (action !== "start") return;
    starts++;
    started.add(sighting.taskId);
  }
  const labels = [`berth.project=${project}`];
  const watch = await watchEngine(connection, { labels, events: [...ACTIONS] }, take);

  async function readLog(): Promise<void> {
    while (true) {
      const page = await client.listEvents({ limit: PAGE, ...(after ? { after } : {}) });
      if (!page.ok) return;
      events.push(...page.value.items);
      after = page.value.items.at(-1)?.id ?? after;
      if (page.value.items.length < PAGE) return;
    }
  }

  async function present(): Promise<Present[]> {
    return (await watch.list()).map(({ Id, State, Labels }) => ({
      containerId: Id,
      ...identityOf(Labels),
      running: State === "running",
    }));
  }

  async function shown(): Promise<Shown[] | undefined> {
    const all = await everyPage((cursor) => client.listServices({ project, ...cursor }));
    return all?.map(({ name, phase, counts, template }) => ({
      ...{ name, phase, running: counts.running },
      version: Number(template.env["VERSION"]),
    }));
  }

  return {
    readLog,
    present,
    async evidence() {
      if (watch.failure() !== undefined) throw new Error(`engine events: ${watch.failure()}`);
      await readLog();
      const services = await shown();
      const tasks = await everyPage((cursor) => client.listTasks({ project, ...cursor }));
      if (!services || !tasks) return undefined;
      return { sightings, events, shown: services, tasks, present: await present() };
    },
    forget() {
      sightings = [];
      events = [];
      starts = 0;
      started = new Set();
    },
    starts: () => starts,
    tasks: () => started.size,
    close: watch.close,
  };
}

function identityOf(labels: Record<string, string>) {
  return {
    taskId: labels["berth.task"] ?? "",
    service: labels["berth.service"] ?? "",
    slot: Number(labels["berth.slot"]),
  };
}

type PageAnswer<T> = { ok: true; value: { items: T[]; next?: string | undefined } } | { ok: false };

async function everyPage<T>(
  read: (cursor: { limit: number; cursor?: string }) => Promise<PageAnswer<T>>,
): Promise<T[] | undefined> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    if (!page.ok) return undefined;
    items.push(...page.value.items);
    cursor = page.value.next;
  } while (cursor !== undefined);
  return items;
}
