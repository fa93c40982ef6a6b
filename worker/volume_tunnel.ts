/**
 * Volumes through a tunnel: their content out and in, and their end.
 *
 * 1. Neither side sends more than {@link WINDOW_BYTES} beyond what the other has acknowledged, so that a
 *    slow disk or link slows the sender and nothing piles up in between.
 * 2. Content that ends early is an error, never a short success.
 *
 * @module
 */
import { CHANNEL, TunnelControl, type VolumeAction, WINDOW_BYTES } from "../kv/schema/agent.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Outcome, Volumes } from "./runtime.ts";
import type { Frames } from "./tunnel_socket.ts";

/** How long the engine may take to remove a volume, in ms. */
const REMOVE_MS = 20_000;
/** How long it is tried again while some container has it, and how often. */
const IN_USE_MS = 5_000;
const AGAIN_MS = 200;
const LOOK_MS = 10;

export async function serveVolume(
  { volumes, clock }: { volumes: Volumes; clock: Clock },
  frames: Frames,
  { volumeId, action }: { volumeId: string; action: VolumeAction },
): Promise<void> {
  const outcome = action === "read"
    ? await sendTar(frames, clock, () => volumes.read(volumeId, frames.signal))
    : action === "write"
    ? await receiveTar(frames, clock, (tar) => volumes.write(volumeId, tar, frames.signal))
    : await remove(volumes, frames, clock, volumeId);
  finish(frames, outcome);
}

/** Tells the client how it ended. */
export function finish(frames: Frames, outcome: Outcome<unknown>): void {
  frames.control(
    outcome.ok ? { type: "exit", code: 0 } : { type: "error", message: outcome.message },
  );
}

/** A service is gone a moment before its last container is, so what is in use may soon not be. */
async function remove(
  volumes: Volumes,
  frames: Frames,
  clock: Clock,
  volumeId: string,
): Promise<Outcome> {
  const untilMs = clock.monoMs() + IN_USE_MS;
  while (true) {
    const late = AbortSignal.timeout(REMOVE_MS);
    const removed = await volumes.remove(volumeId, AbortSignal.any([frames.signal, late]));
    const mayPass = !removed.ok && /\bin use\b/.test(removed.message);
    if (!mayPass || frames.signal.aborted || clock.monoMs() >= untilMs) return removed;
    await clock.sleep(AGAIN_MS, frames.signal);
  }
}

/** Sends what is read to the client: invariants 1 and 2. */
export async function sendTar(
  frames: Frames,
  clock: Clock,
  read: () => Promise<Outcome<AsyncIterable<Uint8Array>>>,
): Promise<Outcome> {
  let ahead = 0;
  frames.listen((data) => {
    const control = typeof data === "string" ? controlOf(data) : undefined;
    if (control?.type === "ack") ahead -= control.bytes;
  });
  const opened = await read();
  if (!opened.ok) return opened;
  try {
    for await (const data of opened.value) {
      while (ahead > WINDOW_BYTES && !frames.signal.aborted) { // invariant 1
        await clock.sleep(LOOK_MS, frames.signal);
      }
      if (!await frames.data(CHANNEL.stdout, data)) return gone();
      ahead += data.length;
    }
  } catch (error) { // invariant 2
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, kind: "unavailable", message };
  }
  return frames.signal.aborted ? gone() : { ok: true, value: undefined };
}

/** Writes what the client sends: invariants 1 and 2. */
export async function receiveTar(
  frames: Frames,
  clock: Clock,
  write: (tar: AsyncIterable<Uint8Array>) => Promise<Outcome>,
): Promise<Outcome> {
  const pieces: Uint8Array[] = [];
  let ended = false;
  frames.listen((data) => {
    if (typeof data === "string") ended ||= controlOf(data)?.type === "stdin-end";
    else if (data[0] === CHANNEL.stdin) pieces.push(data.subarray(1));
  });
  async function* content(): AsyncGenerator<Uint8Array> {
    while (true) {
      const piece = pieces.shift();
      if (piece) {
        yield piece;
        frames.control({ type: "ack", bytes: piece.length });
      } else if (ended) return;
      else if (frames.signal.aborted) throw new Error("the sender hung up"); // invariant 2
      else await clock.sleep(LOOK_MS, frames.signal);
    }
  }
  return await write(content());
}

function gone(): Outcome<never> {
  return { ok: false, kind: "unavailable", message: "the reader hung up" };
}

function controlOf(text: string): TunnelControl | undefined {
  try {
    return TunnelControl.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
