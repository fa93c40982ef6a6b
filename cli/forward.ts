/**
 * Local TCP ports whose connections go through tunnels to ports of tasks.
 *
 * 1. Each connection has a tunnel of its own; it ends with the tunnel, and the tunnel with it.
 * 2. The end of one direction is passed on, and no more is under way than the window.
 *
 * @module
 */
import type { Client } from "../api/client.ts";
import { createWindow } from "../kv/schema/window.ts";
import { openTunnel, type Tunnel } from "./tunnel.ts";

export interface ForwardOptions {
  /** The task for a new connection. */
  chooseTask: () => Promise<{ ok: true; taskId: string } | { ok: false; message: string }>;
  /** Port inside the container. */
  port: number;
  /** A connection failed; the forwarding goes on. */
  onTrouble: (message: string) => void;
}

export interface Forwarding {
  /** The local port. */
  port: number;
  close(): Promise<void>;
}

const CHUNK_BYTES = 32 * 1024;

/** Listens; throws what the operating system says. The owner closes it. */
export function forward(
  client: Pick<Client, "openForward">,
  at: { hostname: string; port: number },
  options: ForwardOptions,
): Forwarding {
  const listener = Deno.listen({ ...at, transport: "tcp" });
  const sessions = new Map<Promise<void>, () => void>();
  let closed = false;

  async function serve(conn: Deno.Conn, leaving: AbortSignal): Promise<void> {
    const chosen = await options.chooseTask();
    if (!chosen.ok || leaving.aborted) {
      if (!chosen.ok) options.onTrouble(chosen.message);
      return close(conn);
    }
    const tunnel = openTunnel(client.openForward(chosen.taskId, { port: options.port }));
    leaving.addEventListener("abort", () => tunnel.close(), { once: true });
    const trouble = await join(conn, tunnel);
    if (trouble !== undefined && !leaving.aborted) options.onTrouble(trouble);
  }

  const accepting = (async () => {
    while (!closed) {
      let conn: Deno.Conn;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (!closed) options.onTrouble(`cannot accept a connection: ${error}`);
        return;
      }
      const leaving = new AbortController();
      const session = serve(conn, leaving.signal).finally(() => sessions.delete(session));
      sessions.set(session, () => {
        leaving.abort();
        close(conn);
      });
    }
  })();

  return {
    port: listener.addr.port,
    async close() {
      closed = true;
      close(listener);
      await accepting;
      const left = [...sessions];
      for (const [, leave] of left) leave();
      await Promise.all(left.map(([session]) => session));
    },
  };
}

/** Joins both until they have ended; what went wrong, if something did. */
async function join(conn: Deno.Conn, tunnel: Tunnel): Promise<string | undefined> {
  const window = createWindow();
  const sending = send(conn, tunnel, window.room);
  let trouble: string | undefined;
  let over = false;
  try {
    for await (const frame of tunnel.frames) {
      if (frame.kind === "data" && !over) {
        for (let at = 0; at < frame.data.length;) at += await conn.write(frame.data.subarray(at));
        tunnel.control({ type: "taken", bytes: frame.data.length });
      } else if (frame.kind === "taken") window.taken(frame.bytes);
      else if (frame.kind === "output-end") await conn.closeWrite();
      else if (frame.kind === "exit" || frame.kind === "error") {
        over = true;
        if (frame.kind === "error") trouble = frame.message;
        tunnel.close();
      } else if (frame.kind === "closed" && !over) trouble = frame.reason || undefined;
    }
  } catch {
    // The local program hung up: that ends the tunnel, and is no trouble.
  } finally {
    window.close();
    tunnel.close();
    close(conn);
    await sending;
  }
  return trouble;
}

async function send(
  conn: Deno.Conn,
  tunnel: Tunnel,
  room: (bytes: number) => Promise<boolean>,
): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  try {
    while (true) {
      const count = await conn.read(buffer);
      if (count === null) break;
      if (!await room(count)) return;
      await tunnel.input(buffer.subarray(0, count));
    }
    tunnel.control({ type: "stdin-end" });
  } catch {
    // The other direction tells how it ended.
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is closed already.
  }
}
