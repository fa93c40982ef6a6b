/**
 * What a revision was resolved to when it was made: the values behind the names in its template. A name
 * may come to mean something else; a revision never does, so going back to one brings back its values.
 *
 * @module
 */
import { z } from "zod";
import { Id } from "./common.ts";
import { DataName } from "./sealed.ts";
import { VolumePin } from "./volume.ts";

export const Pin = z.object({
  id: Id,
  version: z.int().min(1),
}).meta({ id: "Pin", description: "One version of a secret or config" });
export type Pin = z.infer<typeof Pin>;

export const Resolved = z.object({
  secrets: z.record(DataName, Pin).default({}),
  configs: z.record(DataName, Pin).default({}),
  volumes: z.record(DataName, VolumePin).default({}),
}).meta({ id: "Resolved", description: "What the names in a template stood for" });
export type Resolved = z.infer<typeof Resolved>;
