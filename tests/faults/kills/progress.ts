/**
 * What a campaign has done so far: all that a later process needs to go on.
 *
 * @module
 */
import { z } from "zod";

const count = z.int().min(0);

export const Progress = z.object({
  seed: z.int(),
  /** Of all its services. */
  project: z.string(),
  legs: count,
  kills: z.object({ server: count, workers: count }),
  tasks: count,
  writes: count,
  repeatedWrites: count,
  starts: count,
  seconds: z.number().min(0),
  findings: z.array(z.object({ kind: z.enum(["lost", "doubled", "orphan"]), what: z.string() })),
});
export type Progress = z.infer<typeof Progress>;

export function newProgress(seed: number, project: string): Progress {
  return {
    ...{ seed, project, legs: 0, kills: { server: 0, workers: 0 }, tasks: 0, writes: 0 },
    ...{ repeatedWrites: 0, starts: 0, seconds: 0, findings: [] },
  };
}

export function killsOf({ kills }: Progress): number {
  return kills.server + kills.workers;
}
