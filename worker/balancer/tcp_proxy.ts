/**
 * One published TCP port: accepts connections and joins each to a task.
 *
 * 1. A connect that is refused or takes too long is tried again on another task, and counts against the
 *    one that failed. Nothing was sent yet, so the client notices only the time.
 * 2. No more connections than the port's limit; those beyond it are closed at once.
 * 3. Closing stops accepting. Connections that are established live on, until their task leaves the
 *    table or `cut` ends them.
 * 4. An accept that fails (no more file handles) is tried again a little later: the port stays ours.
 *
 * @module
 */
import type { Balancing } from "../../kv/schema/port.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Pool, Target } from "./pool.ts";
import { proxyHeader } from "./proxy_header.ts";
import { closeQuietly, Splice, type SpliceDeps } from "./splice.ts";

export interface ProxyDeps extends SpliceDeps {
  clock: Clock;
  /** A connection begins: the ticker is to tick, as long as there are any. */
  onOpen(): void;
  deadlines: Deadlines;
  log: Log;
}

/** Where connections of a port go, and how. May be exchanged while the port is open. */
export interface Route {
  pool: Pool;
  balancing: Balancing;
}

/** One port that is listened on. */
export interface Proxy {
  route: Route;
  readonly connections: number;
  /** Closes what has been idle for too long. */
  sweep(nowMs: number): void;
  /** Stops listening. */
  close(): void;
  /** Ends the connections too. */
  cut(): void;
}

const MAX_ATTEMPTS = 5;
const ACCEPT_RETRY_MS = 100;
const BACKLOG = 4096;

/** Where to listen. */
export interface Place {
  hostname: string;
  port: number;
  /**
   * Other sockets of this machine may be `shared` on the port too: of those that fit a connection, the
   * one with that very address gets it, not the one on all addresses.
   */
  shared?: boolean;
  /** Called once it no longer listens. */
  release?: () => void;
}

/** Binds the port; throws what the operating system says. */
export function listenTcp(
  { shared = false, release = () => {}, ...at }: Place,
  route: Route,
  deps: ProxyDeps,
): Proxy {
  const listener = Deno.listen({
    ...at,
    transport: "tcp",
    tcpBacklog: BACKLOG,
    reusePort: shared,
  });
  return new TcpProxy(listener, { route, release }, deps);
}

class TcpProxy implements Proxy {
  route: Route;
  readonly #listener: Deno.TcpListener;
  readonly #release: () => void;
  readonly #deps: ProxyDeps;
  readonly #links = new Set<Splice>();
  #connecting = 0;
  #closed = false;

  constructor(
    listener: Deno.TcpListener,
    { route, release }: { route: Route; release: () => void },
    deps: ProxyDeps,
  ) {
    this.#listener = listener;
    this.#release = release;
    this.#deps = deps;
    this.route = route;
    void this.#accept();
  }

  get connections(): number {
    return this.#links.size + this.#connecting;
  }

  sweep(nowMs: number): void {
    const { idleMs } = this.route.balancing;
    for (const link of this.#links) if (nowMs - link.activeMs >= idleMs) link.cut();
  }

  close(): void {
    this.#closed = true;
    closeQuietly(this.#listener);
    this.#release();
  }

  cut(): void {
    this.close();
    for (const link of [...this.#links]) link.cut();
  }

  async #accept(): Promise<void> {
    const { clock, log } = this.#deps;
    while (!this.#closed) {
      let client: Deno.TcpConn;
      try {
        client = await this.#listener.accept();
      } catch (error) {
        if (this.#closed) return;
        log("warn", "cannot accept a connection; trying again", { reason: String(error) });
        await clock.sleep(ACCEPT_RETRY_MS); // invariant 4
        continue;
      }
      const { maxConnections } = this.route.balancing;
      if (maxConnections !== undefined && this.connections >= maxConnections) client.close();
      else void this.#serve(client);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const { pool, balancing } = this.route;
    const { clock } = this.#deps;
    let tried: Set<Target> | undefined;
    this.#connecting++;
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS && !this.#closed; attempt++) {
        const nowMs = clock.monoMs();
        const from = client.remoteAddr.hostname;
        const target = pool.take({ balancing, nowMs, client: from, ...(tried ? { tried } : {}) });
        if (!target) break;
        const reached = await this.#connect(target, balancing.connectTimeoutMs);
        if (typeof reached !== "string" && await this.#join(client, reached, target)) return;
        pool.release(target);
        pool.failed(target, clock.monoMs(), { certain: reached === "late" });
        (tried ??= new Set()).add(target); // invariant 1
      }
      closeQuietly(client);
    } finally {
      this.#connecting--;
    }
  }

  async #connect(target: Target, timeoutMs: number): Promise<Deno.TcpConn | "refused" | "late"> {
    const { address: hostname, port, connects } = target;
    const deadline = this.#deps.deadlines.add(timeoutMs, () => {
      // One that takes too long speaks for all: a host that is cut off answers none of them.
      target.connects = new AbortController();
      connects.abort();
    });
    try {
      return await Deno.connect({ hostname, port, signal: connects.signal });
    } catch {
      return connects.signal.aborted ? "late" : "refused";
    } finally {
      deadline.met();
    }
  }

  /** False when the backend is gone already. */
  async #join(client: Deno.TcpConn, backend: Deno.TcpConn, target: Target): Promise<boolean> {
    const { pool, balancing } = this.route;
    try {
      // What is written by one side in one piece is to arrive as one, and at once.
      client.setNoDelay();
      backend.setNoDelay();
      if (balancing.proxyProtocol) {
        await backend.write(proxyHeader(client.remoteAddr, client.localAddr));
      }
    } catch {
      closeQuietly(backend);
      return false;
    }
    const link = new Splice(client, backend, this.#deps, (end) => {
      this.#links.delete(link);
      target.links.delete(link);
      pool.release(target);
      if (end === "broken") pool.failed(target, this.#deps.clock.monoMs());
      else pool.succeeded(target);
    });
    this.#links.add(link);
    target.links.add(link);
    this.#deps.onOpen();
    link.start();
    return true;
  }
}
