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

  /** One function on purpose: this is what a new connection costs. */
  async #serve(client: Deno.TcpConn): Promise<void> {
    const { pool, balancing } = this.route;
    const { clock, deadlines } = this.#deps;
    const from = client.remoteAddr.hostname;
    let tried: Set<Target> | undefined;
    this.#connecting++;
    for (let attempt = 0; attempt < MAX_ATTEMPTS && !this.#closed; attempt++) {
      const target = pool.take(balancing, from, clock.monoMs(), tried);
      if (!target) break;
      const { address: hostname, port, connects: { signal } } = target;
      const deadline = deadlines.add(balancing.connectTimeoutMs, target);
      let backend: Deno.TcpConn | undefined;
      try {
        backend = await Deno.connect({ hostname, port, signal });
        deadline.met();
        // What is written by one side in one piece is to arrive as one, and at once.
        client.setNoDelay();
        backend.setNoDelay();
        if (balancing.proxyProtocol) {
          await backend.write(proxyHeader(client.remoteAddr, client.localAddr));
        }
        this.#connecting--;
        this.#join(client, backend, target, pool);
        return;
      } catch {
        deadline.met();
        if (backend) closeQuietly(backend);
        pool.release(target);
        pool.failed(target, clock.monoMs(), { certain: signal.aborted });
        (tried ??= new Set()).add(target); // invariant 1
      }
    }
    this.#connecting--;
    closeQuietly(client);
  }

  #join(client: Deno.TcpConn, backend: Deno.TcpConn, target: Target, pool: Pool): void {
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
  }
}
