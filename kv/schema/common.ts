/**
 * Scalars that several kinds share.
 *
 * @module
 */
import { z } from "zod";

/** ULID, lower case: sorts by time of creation. */
export const Id = z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/, "must be a ULID in lower case")
  .meta({ description: "ULID in lower case", examples: ["01jd6z0c9m8k4v2q7x5w3t1r0e"] });

/** Service, project and node names: a DNS label, because they become host names. */
export const Name = z.string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "must be a DNS label: 1 to 63 of a-z, 0-9 and -, not starting or ending with -",
  )
  .meta({ description: "DNS label of 1 to 63 characters", examples: ["web"] });

const ALIAS_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";

/** What containers may be called elsewhere: with `_`, and several labels. */
export const Alias = z.string().max(253)
  .regex(
    new RegExp(`^${ALIAS_LABEL}(\\.${ALIAS_LABEL})*$`),
    "must be a host name: labels of a-z, 0-9, _ and -, with dots in between",
  )
  .meta({ description: "Host name in lower case", examples: ["shop_db"] });

/** 1 to 128 characters, as in Docker. */
export const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/;

/** Labels of services, containers and nodes: at most 64, keys as in Docker, values up to 1 KiB. */
export const Labels = z.record(
  z.string().regex(LABEL_KEY, "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '/', '-'"),
  z.string().max(1024),
).refine((labels) => Object.keys(labels).length <= 64, "must have at most 64 labels")
  .meta({ description: "Labels: at most 64", examples: [{ tier: "front" }] });
export type Labels = z.infer<typeof Labels>;

/** Wall-clock time as ISO 8601 in UTC with milliseconds. For people; nothing decides by it. */
export const Timestamp = z.iso.datetime().meta({ description: "UTC time, for display only" });

/** A duration in ms, at most 31 days. */
export const DurationMs = z.int().min(0).max(31 * 24 * 3600 * 1000);

/** Formats a wall-clock reading as a {@link Timestamp}. */
export function timestamp(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/** A list answer: one page and, when there is more, the cursor that continues it. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z.string().optional().meta({ description: "Pass as `cursor` to read the next page" }),
  });
}

/** RFC 9457 problem details: the one error shape of the API. */
export const Problem = z.object({
  type: z.string().meta({ description: "URI reference naming the kind of problem" }),
  title: z.string().meta({ description: "What happened, in a few words" }),
  status: z.int(),
  detail: z.string().optional().meta({ description: "What happened, to which object" }),
  hint: z.string().optional().meta({ description: "What to do next" }),
  instance: z.string().optional().meta({ description: "The request's path" }),
  errors: z.array(z.object({
    field: z.string().meta({ description: "Dotted path of the field, or `query.x`, `header.x`" }),
    message: z.string(),
  })).optional().meta({ description: "One entry per field that was refused" }),
}).meta({ id: "Problem", description: "RFC 9457 problem details" });
export type Problem = z.infer<typeof Problem>;
