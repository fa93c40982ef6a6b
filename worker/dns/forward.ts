/**
 * Asks the machine's own resolvers what is not ours to answer. Bytes are passed on as they are; only
 * the id is the upstream query's own, so that nobody can guess it.
 *
 * 1. A query ends within {@link TRY_MS} per server, whatever the servers do, and holds one socket.
 * 2. At most {@link MAX_AT_ONCE} are under way; more fail at once.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import type { Transport } from "./message.ts";
import { closeStream, readFrame, writeFrame } from "./stream.ts";

export interface Forwarder {
  /** The reply's bytes under the query's own id; undefined when no server had one. */
  forward(query: Uint8Array, transport: Transport): Promise<Uint8Array | undefined>;
}

export interface ForwarderDeps {
  /** Asked each time: the machine may have moved. */
  servers(): Promise<readonly string[]>;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Ends what is under way. */
  signal: AbortSignal;
  port?: number;
}

const DNS_PORT = 53;
const TRY_MS = 2_000;
const MAX_AT_ONCE = 256;
const SERVFAIL = 2;

export function createForwarder(
  { servers, random, signal, port = DNS_PORT }: ForwarderDeps,
): Forwarder {
  let underWay = 0;
  return {
    async forward(query, transport) {
      if (underWay >= MAX_AT_ONCE) return undefined; // invariant 2
      underWay++;
      try {
        let failure: Uint8Array | undefined;
        for (const server of await servers()) {
          const asked = Uint8Array.from(query);
          const id = Math.floor(random() * 65536);
          asked[0] = id >> 8;
          asked[1] = id & 255;
          const within = AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]); // invariant 1
          const address = { server, port };
          const reply = transport === "tcp"
            ? await askStream(asked, address, within)
            : await askDatagram(asked, address, within);
          if (!reply) continue;
          reply.set(query.subarray(0, 2));
          if (((reply[3] ?? 0) & 15) !== SERVFAIL) return reply;
          failure = reply;
        }
        return failure;
      } finally {
        underWay--;
      }
    },
  };
}

interface Address {
  server: string;
  port: number;
}

function askDatagram(
  query: Uint8Array,
  { server, port }: Address,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
  return new Promise((resolve) => {
    const end = (reply?: Uint8Array) => {
      signal.removeEventListener("abort", onAbort);
      socket.close();
      resolve(reply);
    };
    const onAbort = () => end();
    if (signal.aborted) return end();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", () => end());
    socket.on("message", (message: Buffer, from) => {
      const mine = from.port === port && message.length >= 12 && message[0] === query[0] &&
        message[1] === query[1];
      if (mine) end(Uint8Array.from(message));
    });
    socket.send(query, port, server, (error) => {
      if (error) end();
    });
  });
}

async function askStream(
  query: Uint8Array,
  { server, port }: Address,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  let connection: Deno.Conn;
  try {
    connection = await Deno.connect({ hostname: server, port, signal });
  } catch {
    return undefined; // As good as no answer, whatever it was; below too.
  }
  const close = () => closeStream(connection);
  signal.addEventListener("abort", close, { once: true });
  try {
    await writeFrame(connection, query);
    return await readFrame(connection);
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}
