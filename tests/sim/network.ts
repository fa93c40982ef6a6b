/**
 * The network between callers (agents and users) and the replicas of the API. A call takes time, and a
 * request or its answer may get lost, come twice, or come again much later.
 *
 * @module
 */
import { pathOf } from "./paths.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** A replica, as callers reach it. */
export interface Endpoint {
  process: Process;
  /** The replica's name, which its processes share. */
  replica: string;
  /** Nobody reaches it until then, in virtual ms. */
  hiddenUntilMs: number;
  fetch(request: Request): Promise<Response>;
}

export interface Caller {
  name: string;
  /** Absent for a user, who does not die. */
  process?: Process;
  /** Its way to the replicas is cut until then, and its way back, in virtual ms. */
  readonly cut: Cut;
}

export interface Cut {
  toMs: number;
  fromMs: number;
  /** Until `onlyMs` it reaches this replica only. */
  only?: string;
  onlyMs: number;
}

export function noCut(): Cut {
  return { toMs: 0, fromMs: 0, onlyMs: 0 };
}

/** Probabilities per call. */
export interface NetworkFaults {
  lostRequest: number;
  lostAnswer: number;
  doubled: number;
  /** The request comes once more, up to 15 s later; its answer goes nowhere. */
  late: number;
  /** The answer takes up to 4 s, and others overtake it. */
  slowAnswer: number;
}

export const NO_NETWORK_FAULTS: NetworkFaults = {
  lostRequest: 0,
  lostAnswer: 0,
  doubled: 0,
  late: 0,
  slowAnswer: 0,
};

export interface Sent {
  method: string;
  path: string;
  headers: [string, string][];
  body: string;
}

/** One request that reached a replica. */
export interface Delivery {
  caller: string;
  /** The caller's process; absent for a user. */
  process?: string;
  replica: string;
  sent: Sent;
}

export interface Answer {
  status: number;
  headers: [string, string][];
  body: string;
}

export interface NetworkObserver {
  begins(delivery: Delivery): void;
  /** `answer` is absent when the replica died over it. */
  ends(delivery: Delivery, answer: Answer | undefined): void;
  /** The caller got to know the answer. */
  received(delivery: Delivery, answer: Answer): void;
}

/** May change an answer on its way: for planted bugs. */
export type TamperAnswer = (delivery: Delivery, answer: Answer) => Answer;

const LATENCY_MS = { min: 0.2, max: 12 } as const;
/** After this long a caller takes a call as lost. */
const PATIENCE_MS = 4_000;
const SLOW_MS = 4_000;
const LATE_MS = 15_000;
const HOLD = /[?&]holdMs=(\d+)/;
const DROPPED = new TypeError("no answer (simulated network)");

export class Network {
  faults = NO_NETWORK_FAULTS;
  tamper: TamperAnswer | undefined;
  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly endpoints: () => readonly Endpoint[],
    private readonly observer: NetworkObserver,
  ) {}

  /** A `fetch` for one caller. */
  fetchFor(caller: Caller): (request: Request) => Promise<Response> {
    const call = (request: Request) => this.#call(caller, request);
    const { process } = caller;
    if (!process) return call;
    return (request) =>
      process.effect(
        `call ${request.method} ${pathOf(request.url)}`,
        () => call(request),
      );
  }

  async #call(caller: Caller, request: Request): Promise<Response> {
    const { random, timeline, faults } = this;
    const sent: Sent = {
      method: request.method,
      path: request.url,
      headers: [...request.headers],
      body: await request.text(),
    };
    if (sent.body !== "") {
      sent.headers.push(["content-length", `${new TextEncoder().encode(sent.body).length}`]);
    }
    const holdMs = Number(HOLD.exec(request.url)?.[1] ?? 0);
    const lostAtMs = timeline.nowMs + PATIENCE_MS + holdMs;
    const dropped = async (): Promise<never> => {
      await timeline.sleep(lostAtMs - timeline.nowMs);
      throw DROPPED;
    };
    await timeline.sleep(this.#latencyMs());
    if (timeline.nowMs < caller.cut.toMs || random.chance(faults.lostRequest)) {
      return await orAbort(dropped(), request);
    }
    const endpoint = this.#choose(caller);
    if (!endpoint) throw new TypeError("connection refused: no replica is up");
    if (random.chance(faults.late)) this.#repeatLater(caller, sent);
    if (random.chance(faults.doubled)) {
      const other = this.#choose(caller) ?? endpoint;
      timeline.after(random.between(0, 20), () => void this.#deliver(other, caller, sent));
    }
    const delivery = deliveryOf(endpoint, caller, sent);
    const answering = this.#deliver(endpoint, caller, sent, delivery);
    const answer = await orAbort(Promise.race([answering, dropped()]), request);
    if (!answer) throw new TypeError("connection reset (simulated)");
    const slow = faults.slowAnswer > 0 && random.chance(faults.slowAnswer);
    await orAbort(timeline.sleep(slow ? random.between(100, SLOW_MS) : this.#latencyMs()), request);
    if (timeline.nowMs < caller.cut.fromMs || random.chance(faults.lostAnswer)) {
      return await orAbort(dropped(), request);
    }
    if (caller.process?.alive === false) throw DROPPED;
    this.observer.received(delivery, answer);
    const { status, headers, body } = this.tamper?.(delivery, answer) ?? answer;
    return new Response(body === "" ? null : body, { status, headers });
  }

  #latencyMs(): number {
    return this.random.between(LATENCY_MS.min, LATENCY_MS.max);
  }

  #choose({ cut: { only, onlyMs } }: Caller): Endpoint | undefined {
    const { nowMs } = this.timeline;
    const up = this.endpoints().filter(({ hiddenUntilMs, replica }) =>
      nowMs < onlyMs ? replica === only : hiddenUntilMs <= nowMs
    );
    return up.length === 0 ? undefined : this.random.pick(up);
  }

  #repeatLater(caller: Caller, sent: Sent): void {
    this.timeline.after(this.random.between(50, LATE_MS), () => {
      const endpoint = this.#choose(caller);
      if (endpoint) void this.#deliver(endpoint, caller, sent);
    });
  }

  /** Hands a request to a replica; undefined when the replica dies over it. */
  async #deliver(
    endpoint: Endpoint,
    caller: Caller,
    sent: Sent,
    delivery = deliveryOf(endpoint, caller, sent),
  ): Promise<Answer | undefined> {
    const { observer } = this;
    // Only what is held can outlive its caller; a signal is dear.
    const held = sent.path.includes("holdMs");
    const reset = held ? caller.process?.resetFor(endpoint.process) : undefined;
    const request = new Request(sent.path, {
      method: sent.method,
      headers: sent.headers,
      ...(sent.body === "" ? {} : { body: sent.body }),
      ...(reset ? { signal: reset } : {}),
    });
    observer.begins(delivery);
    try {
      const response = await endpoint.process.reachedBy(() => endpoint.fetch(request));
      const answer = {
        status: response.status,
        headers: [...response.headers],
        body: await response.text(),
      };
      observer.ends(delivery, answer);
      return answer;
    } catch {
      observer.ends(delivery, undefined);
      return undefined;
    }
  }
}

function deliveryOf(endpoint: Endpoint, { name, process }: Caller, sent: Sent): Delivery {
  return {
    caller: name,
    ...(process ? { process: process.name } : {}),
    replica: endpoint.process.name,
    sent,
  };
}

/** The caller may give up. */
function orAbort<T>(promise: Promise<T>, { signal }: Request): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new DOMException("aborted", "AbortError"));
    const settled = () => signal.removeEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then((value) => {
      settled();
      resolve(value);
    }, (error) => {
      settled();
      reject(error);
    });
  });
}
