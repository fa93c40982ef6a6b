/**
 * Projects: the namespace of services. A project is locked while its files are being applied, so that two
 * people do not mix theirs.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs, Name, Timestamp } from "./common.ts";

const LockId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, "must be 8 to 64 letters, digits, _ or -")
  .meta({ description: "Of the holder's own choice; who knows it may renew and release the lock" });

/** The users' row. Its owner writes it anew well before `ttlMs` is over. */
export const ProjectLock = z.object({
  id: LockId,
  holder: z.string().min(1).max(200).meta({ description: "Who, for people who wait for it" }),
  ttlMs: DurationMs.min(1000).max(300_000).meta({
    description: "Unchanged for so long, by the clock of whoever waits, it may be taken over",
  }),
  since: Timestamp,
  renewals: z.int().min(0),
});
export type ProjectLock = z.infer<typeof ProjectLock>;

export const LockRequest = ProjectLock.pick({ id: true, holder: true }).extend({
  ttlMs: ProjectLock.shape.ttlMs.default(15_000),
  replaces: z.string().max(64).optional().meta({
    description: "The version of a lock that did not change for its `ttlMs`: it is taken over",
  }),
}).meta({ id: "LockRequest", description: "Takes or renews the lock of a project" });
export type LockRequest = z.infer<typeof LockRequest>;
export type LockRequestInput = z.input<typeof LockRequest>;

/** What others may know: not the id, which is the right to it. */
export const ProjectLockView = ProjectLock.omit({ id: true }).extend({
  project: Name,
  version: z.string(),
}).meta({ id: "ProjectLock", description: "Who is changing a project" });
export type ProjectLockView = z.infer<typeof ProjectLockView>;
