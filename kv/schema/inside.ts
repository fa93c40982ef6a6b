/**
 * Looking and reaching into a running container: what it uses, its files, its main process.
 *
 * @module
 */
import { z } from "zod";
import { Id } from "./common.ts";

const Count = z.number().min(0);

/** What a container has used since its start; rates are differences of two of these. */
export const Usage = z.object({
  atMs: z.number().meta({ description: "Wall time of the sample in ms, by the engine's clock" }),
  cpuMs: Count.meta({ description: "Time on cores" }),
  memoryBytes: Count.meta({ description: "In use now, without what the kernel would give back" }),
  memoryLimitBytes: Count.optional().meta({ description: "Its limit, or what the machine has" }),
  rxBytes: Count,
  txBytes: Count,
  readBytes: Count,
  writtenBytes: Count,
  pids: z.int().min(0),
});
export type Usage = z.infer<typeof Usage>;

export const TaskUsage = Usage.extend({ taskId: Id });
export type TaskUsage = z.infer<typeof TaskUsage>;

/** One line of a stats tunnel: all running tasks of the node, or those that were asked for. */
export const NodeUsage = z.object({ tasks: z.array(TaskUsage) });
export type NodeUsage = z.infer<typeof NodeUsage>;

/** The first frame of a stats tunnel. */
export const StatsOptions = z.object({
  tasks: z.array(Id).max(1000).optional().meta({ description: "Only these; else all that run" }),
  intervalMs: z.int().min(100).max(60_000).default(1000),
});
export type StatsOptions = z.infer<typeof StatsOptions>;

/** Where in a container: absolute, no zero bytes. */
const ContainerPath = z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");

/** The first frame of a files tunnel: what is there, its content as a tar, or a tar to put into it. */
export const FilesOptions = z.object({
  action: z.enum(["stat", "read", "write"]),
  path: ContainerPath,
});
export type FilesOptions = z.infer<typeof FilesOptions>;

export const FileStat = z.object({
  name: z.string(),
  type: z.enum(["file", "directory", "link", "other"]),
  size: z.number(),
  target: z.string().optional().meta({ description: "Where a link leads" }),
});
export type FileStat = z.infer<typeof FileStat>;

/** The answer to `stat`; nothing is there without one. */
export const FileAnswer = z.object({ found: FileStat.optional() });

/** The first frame of an attach tunnel. */
export const AttachOptions = z.object({
  stdin: z.boolean().default(false),
  replay: z.boolean().optional().meta({ description: "What it has said so far comes first" }),
  columns: z.int().min(1).max(10_000).optional(),
  rows: z.int().min(1).max(10_000).optional(),
});
export type AttachOptions = z.infer<typeof AttachOptions>;
