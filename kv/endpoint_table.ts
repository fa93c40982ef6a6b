/**
 * The endpoints of all services, kept in memory by each replica and brought up to date by the log.
 *
 * 1. The version of the table is the newest record whose effects are in it: it is noted before rows are
 *    read, so a commit that comes in between is looked at again.
 * 2. A record names what changed; only those rows are read, and only the services that they belong to
 *    are put together anew. What comes out the same is no change.
 * 3. What could not be read stays marked, and is tried again.
 * 4. Changes are known back to `coversFrom`: whoever saw less is told everything.
 *
 * @module
 */
import { createEndpointRows, type Marks } from "./endpoint_rows.ts";
import type { Immutable } from "./immutable.ts";
import { lastLog, type LogEntry, type LogFeed } from "./log.ts";
import type { ServiceEndpoints } from "./schema/endpoint.ts";
import type { Event } from "./schema/event.ts";
import type { Clock } from "./schema/time.ts";
import type { Kv } from "./store.ts";

export interface EndpointTable {
  /** Resolves once the table is loaded and has in it what the feed has delivered. */
  current(): Promise<void>;
  version(): number;
  coversFrom(): number;
  /** The version in which something changed last. */
  lastChange(): number;
  /** By project and name. */
  services(): ServiceEndpoints[];
  find(serviceId: string): ServiceEndpoints | undefined;
  /** The JSON of an EndpointsResponse: what changed after `since`, or everything. */
  answer(since: number | undefined): string;
  /** Calls back after each version in which some service changed. */
  onChange(listener: () => void): () => void;
  close(): void;
}

export interface TableDeps {
  kv: Kv;
  clock: Clock;
  feed: Pick<LogFeed, "head" | "subscribe">;
  immutable: Immutable;
  onError(error: unknown): void;
}

interface Made {
  endpoints: ServiceEndpoints;
  text: string;
  changedAt: number;
}

const RETRY_MS = 500;
/** Records behind the head that a new replica looks at, to tell agents only what changed since. */
const LOOK_BACK = 2_000;
/** Removed services that are remembered. */
const MAX_REMOVED = 10_000;

/** Nothing is read before it is first asked for. */
export function createEndpointTable(deps: TableDeps): EndpointTable {
  const { kv, clock, feed } = deps;
  const rows = createEndpointRows(deps);
  const made = new Map<string, Made>();
  const removed = new Map<string, number>();
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let marks = noMarks();
  let version = 0;
  let coversFrom = 0;
  let lastChange = 0;
  let loading: Promise<void> | undefined;
  let working: Promise<void> | undefined;
  /** The newest record that was marked. */
  let seen = feed.head();

  const unsubscribe = feed.subscribe((entries) => {
    seen = entries.at(-1)?.seq ?? seen;
    if (!loading) return;
    for (const { record } of entries) for (const event of record.events) mark(marks, event);
    void work();
  });

  /** One at a time; what is marked meanwhile is seen to right after. */
  function work(): Promise<void> {
    working ??= (async () => {
      await loading?.catch(() => {}); // Told to whoever asked for it.
      while (loading && version < seen && !closing.signal.aborted) {
        const [taken, upTo] = [marks, seen]; // invariant 1
        marks = noMarks();
        try {
          let changed = false;
          for (const serviceId of await rows.read(taken)) {
            changed = remake(serviceId, upTo) || changed;
          }
          version = upTo;
          if (changed) { for (const listener of [...listeners]) listener(); }
        } catch (error) {
          deps.onError(error);
          merge(marks, taken); // invariant 3
          await clock.sleep(RETRY_MS, closing.signal);
        }
      }
    })().finally(() => working = undefined);
    return working;
  }

  /** Puts a service together; whether clients see a difference. */
  function remake(serviceId: string, seq: number): boolean {
    const known = rows.services.get(serviceId);
    if (!known) return made.delete(serviceId) && forget(serviceId, seq);
    const endpoints = rows.assemble(known);
    const text = JSON.stringify(endpoints);
    if (text === made.get(serviceId)?.text) return false;
    made.set(serviceId, { endpoints, text, changedAt: seq });
    lastChange = Math.max(lastChange, seq);
    return true;
  }

  function forget(serviceId: string, seq: number): true {
    removed.set(serviceId, seq);
    lastChange = Math.max(lastChange, seq);
    const [oldest] = removed;
    if (oldest && removed.size > MAX_REMOVED) {
      removed.delete(oldest[0]);
      coversFrom = Math.max(coversFrom, oldest[1]); // invariant 4
    }
    return true;
  }

  async function load(): Promise<void> {
    const from = version = feed.head(); // invariant 1
    marks = noMarks();
    rows.clear();
    made.clear();
    const past = await lastLog(kv, LOOK_BACK);
    await rows.load();
    lookBack(past.filter(({ seq }) => seq <= from), from);
  }

  /** When each service changed last, as far as the log goes back. */
  function lookBack(past: readonly LogEntry[], from: number): void {
    const oldest = past[0];
    coversFrom = oldest === undefined ? from : oldest.seq - 1;
    const changed = new Map<string, number>();
    const moved = new Map<string, number>();
    for (const { seq, record } of past) {
      for (const { type, serviceId, nodeId } of record.events) {
        if (serviceId !== undefined) changed.set(serviceId, seq);
        if (type === "service.removed" && serviceId !== undefined) forget(serviceId, seq);
        if (nodeId !== undefined && isAboutNode(type)) moved.set(nodeId, seq);
      }
    }
    for (const [serviceId, { tasks }] of rows.services) {
      let seq = changed.get(serviceId) ?? coversFrom;
      for (const { nodeId } of tasks.values()) seq = Math.max(seq, moved.get(nodeId) ?? 0);
      remake(serviceId, seq);
    }
  }

  return {
    async current() {
      loading ??= load().catch((error) => {
        loading = undefined; // Whoever asks next tries again.
        throw error;
      });
      await loading;
      if (version < seen) await work();
    },
    version: () => version,
    coversFrom: () => coversFrom,
    lastChange: () => lastChange,
    services: () => [...made.values()].map(({ endpoints }) => endpoints).sort(byName),
    find: (serviceId) => made.get(serviceId)?.endpoints,
    answer(since) {
      const full = since === undefined || since < coversFrom || since > version; // invariant 4
      const texts = [...made.values()].flatMap(({ text, changedAt }) =>
        full || changedAt > since ? [text] : []
      );
      const gone = [...removed].flatMap(([id, at]) => !full && at > since ? [id] : []);
      // Each service was made into text once, for all agents.
      return `{"version":${version},"full":${full},"services":[${texts.join(",")}],` +
        `"removed":${JSON.stringify(gone)}}`;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closing.abort();
      unsubscribe();
    },
  };
}

function mark(marks: Marks, { type, serviceId, taskId, nodeId }: Event): void {
  if (isAboutNode(type)) {
    if (nodeId !== undefined) marks.nodes.add(nodeId);
  } else if (taskId !== undefined && serviceId !== undefined) marks.tasks.set(taskId, serviceId);
  else if (serviceId !== undefined && /^(service|rollout)\./.test(type)) {
    marks.services.add(serviceId);
  }
}

function isAboutNode(type: Event["type"]): boolean {
  return type.startsWith("node.");
}

function noMarks(): Marks {
  return { services: new Set(), tasks: new Map(), nodes: new Set() };
}

function merge(into: Marks, from: Marks): void {
  for (const id of from.services) into.services.add(id);
  for (const [id, serviceId] of from.tasks) into.tasks.set(id, serviceId);
  for (const id of from.nodes) into.nodes.add(id);
}

function byName(a: ServiceEndpoints, b: ServiceEndpoints): number {
  return a.project === b.project ? a.name < b.name ? -1 : 1 : a.project < b.project ? -1 : 1;
}
