/**
 * An engine without volumes, into whose containers nobody looks, for tests about something else.
 *
 * @module
 */
import type { Inside, Volumes } from "../../worker/runtime.ts";

const none = { ok: false, kind: "refused", message: "" } as const;

export const noVolumes: Volumes = {
  remove: () => Promise.resolve(none),
  read: () => Promise.resolve(none),
  write: () => Promise.resolve(none),
};

export const noInside: Inside = {
  stats: () => Promise.resolve(none),
  attach: () => Promise.resolve(none),
  stat: () => Promise.resolve(none),
  read: () => Promise.resolve(none),
  write: () => Promise.resolve(none),
};
