/**
 * Options of a container that most services do not set. Names follow the engine's; what is absent is left
 * to the engine.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs } from "./common.ts";

const Text = z.string().min(1).max(1024);
const Texts = z.array(Text).max(256);
const Path = z.string().max(4096).regex(/^\//, "must be an absolute path");
const Int = z.int().min(0);
const Bytes = z.int().min(0);

const Rate = z.object({ path: Path, rate: Int });

export const Device = z.object({
  source: Text.meta({ description: "Path on the node, or a CDI name like vendor.com/class=name" }),
  target: Text.optional().meta({ description: "Path in the container; the same, when absent" }),
  permissions: z.string().regex(/^[rwm]{1,3}$/, "must be of r, w and m").default("rwm"),
});

export const DeviceRequest = z.object({
  driver: Text.optional(),
  count: z.int().min(-1).optional().meta({ description: "-1: all there are" }),
  deviceIds: Texts.optional(),
  capabilities: Texts.default(["gpu"]),
  options: z.record(Text, z.string().max(1024)).optional(),
}).refine(({ count, deviceIds }) => count === undefined || deviceIds === undefined, {
  path: ["deviceIds"],
  message: "does not go with count",
}).meta({
  id: "DeviceRequest",
  description: "GPUs and the like, which the engine's driver hands out",
});
export type DeviceRequest = z.infer<typeof DeviceRequest>;

/** A command that the agent runs in the container. */
export const Hook = z.object({
  command: z.array(z.string().max(32 * 1024)).min(1).max(1024),
  user: Text.optional(),
  privileged: z.boolean().default(false),
  workingDir: Path.optional(),
  env: z.record(z.string().min(1).max(256), z.string().max(32 * 1024)).default({}),
}).meta({ id: "Hook" });
export type Hook = z.infer<typeof Hook>;
const Hooks = z.array(Hook).max(16);

export const ContainerOptions = z.object({
  hostname: z.string().max(253).optional(),
  domainname: z.string().max(253).optional(),
  extraHosts: z.array(
    z.string().max(512).regex(/^[^:\s]+:\S+$/, "must be HOST:ADDRESS"),
  ).max(256).optional().meta({ description: "Lines of /etc/hosts, as HOST:ADDRESS" }),
  dns: Texts.optional(),
  dnsSearch: Texts.optional(),
  dnsOptions: Texts.optional(),
  networkMode: z.enum(["bridge", "host", "none"]).optional(),
  ipc: z.enum(["host", "private", "shareable", "none"]).optional(),
  pid: z.enum(["host"]).optional(),
  uts: z.enum(["host"]).optional(),
  userns: Text.optional(),
  cgroup: z.enum(["host", "private"]).optional(),
  cgroupParent: Text.optional(),

  capAdd: Texts.optional(),
  capDrop: Texts.optional(),
  privileged: z.boolean().optional(),
  securityOpt: Texts.optional(),
  readOnly: z.boolean().optional().meta({ description: "The root file system" }),
  groupAdd: Texts.optional(),
  devices: z.array(Device).max(256).optional(),
  deviceCgroupRules: Texts.optional(),
  deviceRequests: z.array(DeviceRequest).max(32).optional(),
  runtime: Text.optional(),
  platform: z.string().max(64).regex(/^[a-z0-9]+(\/[a-z0-9._-]+){0,2}$/, "must be like linux/amd64")
    .optional(),
  annotations: z.record(Text, z.string().max(1024)).optional(),
  stdinOpen: z.boolean().optional(),
  stdinOnce: z.boolean().optional().meta({
    description: "With stdinOpen: its input ends with that of the first client that attaches",
  }),

  tmpfs: z.record(Path, z.string().max(1024)).optional()
    .meta({ description: "Mount options by path, like size=64m,mode=1777" }),
  shmBytes: Bytes.optional().meta({ description: "Size of /dev/shm" }),
  storageOpt: z.record(Text, z.string().max(1024)).optional(),
  sysctls: z.record(Text, z.string().max(1024)).optional(),
  ulimits: z.array(z.object({ name: Text, soft: z.int().min(-1), hard: z.int().min(-1) })).max(32)
    .optional(),
  logging: z.object({
    driver: Text.optional(),
    options: z.record(Text, z.string().max(4096)).default({}),
  }).optional().meta({ description: "Drivers that keep nothing leave `berth logs` with nothing" }),

  pidsLimit: z.int().min(-1).optional(),
  memorySwapBytes: z.int().min(-1).optional()
    .meta({ description: "Memory and swap together; -1: swap without limit" }),
  memorySwappiness: z.int().min(0).max(100).optional(),
  oomKillDisable: z.boolean().optional(),
  oomScoreAdj: z.int().min(-1000).max(1000).optional(),
  cpuShares: Int.optional(),
  cpuQuotaUs: z.int().min(-1).optional(),
  cpuPeriodUs: Int.optional(),
  cpuRealtimeRuntimeUs: Int.optional(),
  cpuRealtimePeriodUs: Int.optional(),
  cpuset: z.string().max(256).regex(/^[\d,-]+$/, "must be like 0-3,7").optional(),
  blkio: z.object({
    weight: z.int().min(10).max(1000).optional(),
    weightDevice: z.array(z.object({ path: Path, weight: Int })).max(64).optional(),
    readBps: z.array(Rate).max(64).optional(),
    readIops: z.array(Rate).max(64).optional(),
    writeBps: z.array(Rate).max(64).optional(),
    writeIops: z.array(Rate).max(64).optional(),
  }).optional().meta({ description: "Weights and rates of block devices" }),

  postStart: Hooks.optional().meta({
    description: "Run in order in each started container before the task counts as running; a " +
      "failure counts as one of the task",
  }),
  preStop: Hooks.optional().meta({
    description:
      "Run in order before a container that Berth stops gets its signal; the grace period " +
      "is theirs as well",
  }),
}).meta({ id: "ContainerOptions", description: "Options of the container, handed to the engine" });
export type ContainerOptions = z.infer<typeof ContainerOptions>;

/** The longest that the hooks of one start may take together. */
export const HOOKS_MS: z.infer<typeof DurationMs> = 300_000;
