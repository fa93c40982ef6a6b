/**
 * Endpoints, tables and small servers for tests of the balancer. Everything is on loopback.
 *
 * @module
 */
import type { EndpointState, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { type BalanceOptions, balancingOf, type Protocol } from "../../kv/schema/port.ts";
import type { Table } from "../../worker/balancer/table.ts";
import { idOf } from "./ids.ts";

export interface PlaceInput {
  /** Becomes the task's id. */
  task: number;
  port: number;
  address?: string;
  node?: number;
  state?: EndpointState;
}

export interface TableInput {
  service?: number;
  name?: string;
  target?: number;
  protocol?: Protocol;
  published?: number;
  hostIp?: string;
  balance?: BalanceOptions;
  places: PlaceInput[];
}

export function serviceOf(input: TableInput): ServiceEndpoints {
  const { service = 1, name = "web", target = 80, protocol = "tcp", published, places } = input;
  const balancing = balancingOf(protocol, input.balance, undefined);
  return {
    id: idOf(service),
    project: "default",
    name,
    aliases: [],
    ports: [{
      ...{ target, protocol, balancing },
      ...(published === undefined ? {} : { published }),
      ...(input.hostIp === undefined ? {} : { hostIp: input.hostIp }),
    }],
    endpoints: places.map(({ task, port, address = "127.0.0.1", node = 9, state = "ready" }) => ({
      taskId: idOf(task),
      slot: task,
      nodeId: idOf(node),
      address,
      ports: [{ target, protocol, port }],
      state,
    })),
  };
}

let versions = 0;

export function tableOf(...inputs: TableInput[]): Table {
  const services = inputs.map(serviceOf);
  return { version: ++versions, services: new Map(services.map((one) => [one.id, one])) };
}

/** A port that nobody listens on just now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export interface TcpServer extends AsyncDisposable {
  port: number;
  /** Connections that were accepted, those that ended included. */
  accepted(): number;
  open(): number;
  stop(): Promise<void>;
}

/** Serves each connection with `handle`, then closes it. */
export function tcpServer(handle: (conn: Deno.TcpConn) => Promise<void>): TcpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns = new Set<Deno.TcpConn>();
  const running = new Set<Promise<void>>();
  let accepted = 0;
  const serve = async (conn: Deno.TcpConn) => {
    conns.add(conn);
    await handle(conn).catch(() => {});
    conns.delete(conn);
    try {
      conn.close();
    } catch {
      // The test closed it.
    }
  };
  const accepting = (async () => {
    for await (const conn of listener) {
      accepted++;
      const served = serve(conn).finally(() => running.delete(served));
      running.add(served);
    }
  })();
  const stop = async () => {
    try {
      listener.close();
    } catch {
      // It is stopped already.
    }
    for (const conn of conns) {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    }
    await accepting;
    await Promise.all(running);
  };
  return {
    port: listener.addr.port,
    accepted: () => accepted,
    open: () => conns.size,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Says its name and the client's bytes back, until the client ends. */
export function echoServer(name = ""): TcpServer {
  return tcpServer(async (conn) => {
    if (name !== "") await send(conn, name);
    const buffer = new Uint8Array(64 * 1024);
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      await sendBytes(conn, buffer.subarray(0, n));
    }
  });
}

/** Says its name and hangs up. */
export function namedServer(name: string): TcpServer {
  return tcpServer((conn) => send(conn, name));
}

export function send(conn: Deno.Conn, text: string): Promise<void> {
  return sendBytes(conn, new TextEncoder().encode(text));
}

export async function sendBytes(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Everything that comes until the other side ends. */
export async function readAll(conn: Deno.Conn): Promise<string> {
  return new TextDecoder().decode(await readAllBytes(conn));
}

export async function readAllBytes(conn: Deno.Conn): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const buffer = new Uint8Array(64 * 1024);
    const n = await conn.read(buffer);
    if (n === null) break;
    chunks.push(buffer.subarray(0, n));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Reads at least one byte, as text. */
export async function readSome(conn: Deno.Conn): Promise<string | undefined> {
  const buffer = new Uint8Array(64 * 1024);
  const n = await conn.read(buffer);
  return n === null ? undefined : new TextDecoder().decode(buffer.subarray(0, n));
}

/** Connects, and reads what the other side says until it hangs up. */
export async function ask(port: number, { hostname = "127.0.0.1" } = {}): Promise<string> {
  using conn = await Deno.connect({ hostname, port });
  return await readAll(conn);
}
