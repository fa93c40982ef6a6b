/**
 * An engine without volumes, for tests about something else.
 *
 * @module
 */
import type { Volumes } from "../../worker/runtime.ts";

const none = { ok: false, kind: "refused", message: "" } as const;

export const noVolumes: Volumes = {
  remove: () => Promise.resolve(none),
  read: () => Promise.resolve(none),
  write: () => Promise.resolve(none),
};
