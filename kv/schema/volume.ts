/**
 * Mounts of a container, and the named volumes of a project.
 *
 * @module
 */
import { z } from "zod";
import { Id, Labels, Name, Timestamp } from "./common.ts";
import { DataName } from "./sealed.ts";

const AbsolutePath = z.string().min(1).max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");
const Target = AbsolutePath.refine(
  (path) => !/(^|\/)\.\.?(\/|$)/.test(path) && path !== "/",
  "must be an absolute path below the root, without '.' and '..'",
).meta({ description: "Where it is in the container" });
const ReadOnly = z.boolean().default(false);

const Driver = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/, "must be a driver's name")
  .meta({ description: "Volume driver; `local` when absent" });
const Options = z.record(z.string().min(1).max(256), z.string().max(4096))
  .refine((options) => Object.keys(options).length <= 32, "must have at most 32 options")
  .meta({ description: "Passed to the driver as they are" });

const VolumeMount = z.object({
  type: z.literal("volume"),
  source: DataName.optional()
    .meta({ description: "Name in the project; without one it goes with the container" }),
  target: Target,
  readOnly: ReadOnly,
  noCopy: z.boolean().default(false)
    .meta({ description: "Do not fill an empty volume with what the image has there" }),
  driver: Driver.optional(),
  options: Options.optional(),
  labels: Labels.optional().meta({ description: "Labels of the volume when it is made" }),
}).superRefine(({ source, readOnly }, context) => {
  if (source !== undefined || !readOnly) return;
  const message = "does not go with a volume without a name: nobody could write to it";
  context.addIssue({ code: "custom", path: ["readOnly"], message });
});

const BindMount = z.object({
  type: z.literal("bind"),
  source: AbsolutePath.meta({ description: "Path on the node" }),
  target: Target,
  readOnly: ReadOnly,
  propagation: z.enum(["private", "rprivate", "shared", "rshared", "slave", "rslave"]).optional(),
  createHostPath: z.boolean().default(true)
    .meta({ description: "Make the directory on the node if it is not there" }),
  selinux: z.enum(["z", "Z"]).optional().meta({
    description: "Label it for containers: `z` for all of them, `Z` for this one alone",
  }),
}).superRefine(({ source, target, createHostPath, selinux }, context) => {
  if (selinux === undefined) return;
  const refuse = (message: string) =>
    context.addIssue({ code: "custom", path: ["selinux"], message });
  // The engine takes it in the older notation only, which has colons between its parts.
  if (!createHostPath) refuse("needs createHostPath: the engine makes what it labels");
  if (`${source}${target}`.includes(":")) refuse("does not go with a path that has a colon");
});

const TmpfsMount = z.object({
  type: z.literal("tmpfs"),
  target: Target,
  sizeMiB: z.int().min(1).max(64 * 1024 * 1024).optional()
    .meta({ description: "As large as half the node's memory, when absent" }),
  mode: z.int().min(0).max(0o1777).optional()
    .meta({ description: "Permissions of its root as a number" }),
});

export const Mount = z.discriminatedUnion("type", [VolumeMount, BindMount, TmpfsMount])
  .meta({ id: "Mount", description: "Storage in a container" });
export type Mount = z.infer<typeof Mount>;
export type VolumeMount = z.infer<typeof VolumeMount>;

/** The row of a named volume, made when the first service names it. */
export const Volume = z.object({
  id: Id,
  project: Name,
  name: DataName,
  driver: Driver.optional(),
  options: Options.optional(),
  labels: Labels.optional(),
  /** Its removal was begun: no service may name it any more. */
  removing: z.boolean().optional(),
  createdAt: Timestamp,
});
export type Volume = z.infer<typeof Volume>;

/** The leader's row: a node was given a task with the volume, so it has it, or will. */
export const VolumeNode = z.object({
  /** The node's name at that time: it outlives the node. */
  node: z.string(),
  since: Timestamp,
});
export type VolumeNode = z.infer<typeof VolumeNode>;

export const VolumeView = Volume.omit({ removing: true }).extend({
  engineName: z.string().meta({ description: "What the nodes' engines call it" }),
  shared: z.boolean().meta({
    description: "It is the same on every node, so tasks do not have to follow it",
  }),
  nodes: z.array(VolumeNode.extend({ id: Id })).meta({ description: "Nodes that have it" }),
  usedBy: z.array(Name).meta({ description: "Services of the project that mount it" }),
}).meta({ id: "Volume", description: "A named volume" });
export type VolumeView = z.infer<typeof VolumeView>;

/** What a revision says of a volume that it names. */
export const VolumePin = Volume.pick({ id: true, driver: true, options: true, labels: true });
export type VolumePin = z.infer<typeof VolumePin>;

/** The name of a volume on the engines: readable first, unique by its id. */
export function engineVolumeName(
  { project, name, id }: Pick<Volume, "project" | "name" | "id">,
): string {
  return `berth-${project}-${name}-${id}`;
}

/** File systems that the local driver mounts from elsewhere. */
const NETWORK_TYPES = /^(nfs4?|cifs|smb3?|9p|ceph|glusterfs)$/;

/**
 * Whether a volume is the same wherever it is mounted: one of another driver than the engine's own, or
 * of a network's file system. All others are where they were made.
 */
export function isShared({ driver, options }: Pick<Volume, "driver" | "options">): boolean {
  if (driver !== undefined && driver !== "local") return true;
  return NETWORK_TYPES.test(options?.type ?? "");
}

/** The mounts of named volumes. */
export function namedVolumes(mounts: readonly Mount[]): (VolumeMount & { source: string })[] {
  return mounts.flatMap((mount) =>
    mount.type === "volume" && mount.source !== undefined
      ? [{ ...mount, source: mount.source }]
      : []
  );
}
