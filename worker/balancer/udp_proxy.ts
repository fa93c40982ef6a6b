/**
 * One published UDP port. A client's datagrams go to one task, and that task's answers back to it, for as
 * long as something is sent: a session.
 *
 * 1. A session belongs to a client's address and port. It ends when it is idle, when its task leaves the
 *    table, or when its socket fails; the next datagram opens another. A port that nobody listens on is
 *    not noticed: Deno's sockets do not pass on what ICMP says.
 * 2. No more sessions than the port's limit; datagrams beyond it are dropped, as UDP may.
 * 3. Only what the task itself sends is passed on to the client.
 * 4. Before its socket is ready a session keeps a few datagrams and drops the rest.
 *
 * @module
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { parseAddress } from "../../kv/schema/ip.ts";
import type { Link, Target } from "./pool.ts";
import type { Place, Proxy, ProxyDeps, Route } from "./tcp_proxy.ts";

const MAX_SESSIONS = 10_000;
const MAX_EARLY = 16;

/** Binds the port; rejects with what the operating system says. */
export async function listenUdp(
  { shared = false, release = () => {}, ...at }: Place,
  route: Route,
  deps: ProxyDeps,
): Promise<Proxy> {
  const type = at.hostname.includes(":") ? "udp6" : "udp4";
  const socket = createSocket({ type, reuseAddr: shared });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(at.port, at.hostname, () => {
      socket.off("error", reject);
      resolve();
    });
  }).catch((error) => {
    socket.close();
    throw error;
  });
  return new UdpProxy(socket, { route, release }, deps);
}

class UdpProxy implements Proxy {
  route: Route;
  readonly #socket: Socket;
  readonly #release: () => void;
  readonly #deps: ProxyDeps;
  readonly #sessions = new Map<string, Session>();

  constructor(
    socket: Socket,
    { route, release }: { route: Route; release: () => void },
    deps: ProxyDeps,
  ) {
    this.#socket = socket;
    this.#release = release;
    this.#deps = deps;
    this.route = route;
    socket.on("message", (data, from) => this.#receive(data, from));
    socket.on(
      "error",
      (error) => deps.log("warn", "a published udp port failed", { reason: String(error) }),
    );
  }

  get connections(): number {
    return this.#sessions.size;
  }

  sweep(nowMs: number): void {
    const { idleMs } = this.route.balancing;
    for (const session of this.#sessions.values()) {
      if (nowMs - session.activeMs >= idleMs) session.cut();
    }
  }

  /** Sessions answer through the port's own socket, so they end with it. */
  close(): void {
    this.cut();
  }

  cut(): void {
    for (const session of [...this.#sessions.values()]) session.cut();
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
    this.#release();
  }

  #receive(data: Uint8Array, from: RemoteInfo): void {
    const client = `${from.address} ${from.port}`;
    const session = this.#sessions.get(client) ?? this.#open(client, from);
    session?.send(data);
  }

  #open(client: string, from: RemoteInfo): Session | undefined {
    const { pool, balancing } = this.route;
    const { clock } = this.#deps;
    if (this.#sessions.size >= (balancing.maxConnections ?? MAX_SESSIONS)) return undefined;
    const target = pool.take(balancing, from.address, clock.monoMs());
    if (!target) return undefined;
    const session = new Session(target, {
      ticker: this.#deps.ticker,
      answer: (data) => this.#answer(data, from),
      onEnd: (refused) => {
        this.#sessions.delete(client);
        target.links.delete(session);
        pool.release(target);
        if (refused) pool.failed(target, clock.monoMs());
        else pool.succeeded(target);
      },
    });
    this.#sessions.set(client, session);
    this.#deps.onOpen();
    target.links.add(session);
    return session;
  }

  #answer(data: Uint8Array, to: RemoteInfo): void {
    this.#socket.send(data, to.port, to.address, () => {
      // A datagram that cannot be sent is lost, as any may be.
    });
  }
}

/** Not a host name. */
const isAddress = (text: string) => parseAddress(text) !== undefined;

interface SessionDeps {
  ticker: ProxyDeps["ticker"];
  answer(data: Uint8Array): void;
  onEnd(refused: boolean): void;
}

class Session implements Link {
  activeMs: number;
  readonly #socket: Socket;
  readonly #deps: SessionDeps;
  #early: Uint8Array[] | undefined = [];
  #ended = false;

  constructor({ address, port }: Target, deps: SessionDeps) {
    this.#deps = deps;
    this.activeMs = deps.ticker.nowMs;
    this.#socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    this.#socket.on("error", () => this.#end(true));
    this.#socket.on("message", (data, from) => {
      const isTask = from.port === port && (!isAddress(address) || from.address === address);
      if (!isTask) return; // invariant 3
      this.activeMs = deps.ticker.nowMs;
      deps.answer(data);
    });
    this.#socket.connect(port, address, (error?: Error) => {
      if (error) return this.#end(true);
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const data of early) this.send(data);
    });
  }

  send(data: Uint8Array): void {
    if (this.#ended) return;
    this.activeMs = this.#deps.ticker.nowMs;
    if (this.#early) {
      if (this.#early.length < MAX_EARLY) this.#early.push(data); // invariant 4
      return;
    }
    this.#socket.send(data, (error) => {
      if (error) this.#end(true);
    });
  }

  cut(): void {
    this.#end(false);
  }

  #end(refused: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#socket.close();
    } catch {
      // It never opened.
    }
    this.#deps.onEnd(refused);
  }
}
