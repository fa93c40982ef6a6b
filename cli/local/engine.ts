/**
 * This machine's engine, through worker/sample_image.ts in a child process.
 *
 * @module
 */
import { z } from "zod";

const Failure = z.object({ ok: z.literal(false), message: z.string() });
const Info = z.object({
  ok: z.literal(true),
  engine: z.string(),
  cpus: z.number(),
  memoryMiB: z.number(),
});
const Count = z.object({ ok: z.literal(true), containers: z.int() });
const Done = z.object({ ok: z.literal(true) });

export type Answer<T> = ({ ok: true } & T) | { ok: false; message: string };

export interface LocalEngine {
  info(): Promise<Answer<{ engine: string; cpus: number; memoryMiB: number }>>;
  /** Makes the sample image if the engine does not have it. */
  ensureImage(tag: string): Promise<Answer<Record<never, never>>>;
  /** Kills a container, as its own crash would. */
  kill(containerId: string): Promise<Answer<Record<never, never>>>;
  /** How many containers, in whatever state, these nodes have. */
  count(nodeIds: string[]): Promise<Answer<{ containers: number }>>;
}

/** `root` is the checkout. */
export function localEngine(root: string): LocalEngine {
  async function ask<T extends { ok: true }>(args: string[], schema: z.ZodType<T>) {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-P=worker", "worker/sample_image.ts", ...args],
      cwd: root,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const parsed = z.union([schema, Failure]).safeParse(jsonOf(stdout));
    if (parsed.success) return parsed.data;
    const said = new TextDecoder().decode(stderr).trim().split("\n")[0];
    return { ok: false as const, message: said || "the engine helper gave no answer" };
  }
  return {
    info: () => ask(["info"], Info),
    ensureImage: (tag) => ask(["image", tag], Done),
    kill: (containerId) => ask(["kill", containerId], Done),
    count: (nodeIds) => ask(["count", ...nodeIds], Count),
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
