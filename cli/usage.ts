/**
 * What tasks use, as their nodes tell it: one connection a node, taken up again when it breaks.
 *
 * @module
 */
import { NodeUsage, type StatsOptions } from "../kv/schema/inside.ts";
import type { NodeView } from "../kv/schema/node.ts";
import type { ServerDeps } from "./deps.ts";
import { openTunnel } from "./tunnel.ts";

const RETRY_MS = 1000;
/** A line longer than this is none. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;

export type OnUsage = (usage: NodeUsage) => void;

/** One connection, to its end; answers what went wrong, if anything did. */
export async function readUsage(
  { client }: Pick<ServerDeps, "client">,
  node: Pick<NodeView, "id">,
  options: StatsOptions,
  on: OnUsage,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (signal.aborted) return undefined;
  const tunnel = openTunnel(client.openStats(node.id, options));
  const close = () => tunnel.close();
  signal.addEventListener("abort", close, { once: true });
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const frame of tunnel.frames) {
      if (frame.kind === "error") return frame.message;
      if (frame.kind === "closed") return signal.aborted ? undefined : frame.reason || "it hung up";
      if (frame.kind !== "data") continue;
      const lines = (rest + decoder.decode(frame.data, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE_CHARS) return "it sent no lines";
      for (const line of lines) on(NodeUsage.parse(JSON.parse(line)));
    }
    return undefined;
  } finally {
    signal.removeEventListener("abort", close);
    tunnel.close();
  }
}

/** Goes on until the signal aborts; `failed` is told of each connection that broke. */
export async function followUsage(
  deps: Pick<ServerDeps, "client" | "clock">,
  node: Pick<NodeView, "id">,
  options: StatsOptions,
  { on, failed, signal }: { on: OnUsage; failed: (why: string) => void; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const why = await readUsage(deps, node, options, on, signal);
    if (why !== undefined) failed(why);
    await deps.clock.sleep(RETRY_MS, signal);
  }
}
