/**
 * Content of volumes and containers through a tunnel. Neither side sends more than a window beyond what
 * the other has taken; content that ends early is never taken for a short one.
 *
 * @module
 */
import { WINDOW_BYTES } from "../kv/schema/agent.ts";
import type { Tunnel } from "./tunnel.ts";

const HUNG_UP = "the connection was closed";

/** Takes it; answers why it ended before it was complete. */
export async function takeContent(
  tunnel: Tunnel,
  take: (data: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void = () => {},
): Promise<string | undefined> {
  let bytes = 0;
  for await (const frame of tunnel.frames) {
    switch (frame.kind) {
      case "data":
        await take(frame.data);
        tunnel.control({ type: "ack", bytes: frame.data.length });
        onBytes(bytes += frame.data.length);
        break;
      case "exit":
        return undefined;
      case "error":
        return frame.message;
      case "closed":
        return frame.reason || HUNG_UP;
    }
  }
  return HUNG_UP;
}

const PIECE_BYTES = 64 * 1024;

/** How much may be sent beyond what the agent has taken. */
export function contentWindow() {
  let ahead = 0;
  let over = false;
  let wake = () => {};
  return {
    get over() {
      return over;
    },
    taken(bytes: number) {
      ahead -= bytes;
      wake();
    },
    /** Nobody reads any more. */
    close() {
      over = true;
      wake();
    },
    async room(bytes: number) {
      while (ahead > WINDOW_BYTES && !over) await new Promise<void>((resolve) => wake = resolve);
      ahead += bytes;
    },
  };
}

/** Sends it; answers why it ended before it was complete. */
export async function giveContent(
  tunnel: Tunnel,
  content: AsyncIterable<Uint8Array>,
  window: ReturnType<typeof contentWindow>,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const answer = endOf(tunnel).finally(() => window.close());
  let sent = 0;
  for await (const data of content) {
    for (let at = 0; at < data.length && !window.over; at += PIECE_BYTES) {
      const piece = data.subarray(at, at + PIECE_BYTES);
      await window.room(piece.length);
      await tunnel.input(piece);
      onBytes(sent += piece.length);
    }
    if (window.over) break;
  }
  tunnel.control({ type: "stdin-end" });
  return await answer;
}

async function endOf(tunnel: Tunnel): Promise<string | undefined> {
  for await (const frame of tunnel.frames) {
    if (frame.kind === "exit") return undefined;
    if (frame.kind === "error") return frame.message;
    if (frame.kind === "closed") return frame.reason || HUNG_UP;
  }
  return HUNG_UP;
}
