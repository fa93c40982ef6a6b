/**
 * Listens for DNS queries on one address, over datagrams and streams, and writes what it is given.
 *
 * 1. Queries do not wait for one another, over datagrams as over a stream's turns.
 * 2. A stream that says nothing for {@link IDLE_MS} is closed, and beyond {@link MAX_STREAMS} none is
 *    taken.
 * 3. `close` ends everything; what was being answered is not answered.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { bindDatagram, closeDatagram } from "../datagram.ts";
import type { Log } from "../log.ts";
import { messageOf } from "../state_file.ts";
import type { Transport } from "./message.ts";
import { closeStream, readFrame, writeFrame } from "./stream.ts";

export interface Responder {
  close(): Promise<void>;
}

export interface ResponderOptions {
  address: string;
  port?: number;
  /** The reply's bytes; undefined for none. Never rejects but for a bug. */
  answer(query: Uint8Array, transport: Transport): Promise<Uint8Array | undefined>;
  log: Log;
}

const DNS_PORT = 53;
const IDLE_MS = 5_000;
const MAX_STREAMS = 64;

/** Binds both; a failure to is a value, since it may well pass. */
export async function listenForQueries(
  options: ResponderOptions,
): Promise<{ ok: true; responder: Responder } | { ok: false; message: string }> {
  const { address, port = DNS_PORT } = options;
  const socket = createSocket("udp4");
  try {
    await bindDatagram(socket, { address, port });
  } catch (error) {
    await closeDatagram(socket);
    return { ok: false, message: `udp ${address}:${port}: ${messageOf(error)}` };
  }
  let listener: Deno.Listener;
  try {
    listener = Deno.listen({ hostname: address, port });
  } catch (error) {
    await closeDatagram(socket);
    return { ok: false, message: `tcp ${address}:${port}: ${messageOf(error)}` };
  }
  answerDatagrams(socket, options);
  const streams = new Set<Deno.Conn>();
  const accepting = acceptStreams(listener, streams, options);
  return {
    ok: true,
    responder: {
      async close() { // invariant 3
        const ended = closeDatagram(socket);
        listener.close();
        for (const stream of streams) closeStream(stream);
        await Promise.all([ended, accepting]);
      },
    },
  };
}

function answerDatagrams(socket: Socket, { answer, log }: ResponderOptions): void {
  // Of a send to a client that is gone, mostly.
  socket.on("error", (error) => log("debug", "a DNS socket failed", { reason: messageOf(error) }));
  socket.on("message", async (message: Buffer, { address, port }) => {
    const reply = await guarded(() => answer(message, "udp"), log);
    if (!reply) return;
    try {
      socket.send(reply, port, address, () => {});
    } catch {
      // Closed meanwhile.
    }
  });
}

async function acceptStreams(
  listener: Deno.Listener,
  streams: Set<Deno.Conn>,
  options: ResponderOptions,
): Promise<void> {
  const served = new Set<Promise<void>>();
  for await (const stream of listener) {
    if (streams.size >= MAX_STREAMS) { // invariant 2
      closeStream(stream);
      continue;
    }
    streams.add(stream);
    const serving = serveStream(stream, options).finally(() => {
      closeStream(stream);
      streams.delete(stream);
      served.delete(serving);
    });
    served.add(serving);
  }
  await Promise.all(served);
}

async function serveStream(stream: Deno.Conn, { answer, log }: ResponderOptions): Promise<void> {
  let idle = setTimeout(() => closeStream(stream), IDLE_MS);
  try {
    while (true) {
      const query = await readFrame(stream);
      clearTimeout(idle);
      if (!query) return;
      const reply = await guarded(() => answer(query, "tcp"), log);
      if (!reply) return;
      idle = setTimeout(() => closeStream(stream), IDLE_MS);
      await writeFrame(stream, reply);
    }
  } catch {
    // Closed by either side.
  } finally {
    clearTimeout(idle);
  }
}

/** A bug costs one answer, not the responder. */
async function guarded(
  answer: () => Promise<Uint8Array | undefined>,
  log: Log,
): Promise<Uint8Array | undefined> {
  try {
    return await answer();
  } catch (error) {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    log("error", "a DNS query failed unexpectedly", { reason });
    return undefined;
  }
}
