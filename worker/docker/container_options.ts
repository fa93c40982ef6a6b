/**
 * Options of a container as the engine takes them. Pure.
 *
 * @module
 */
import type { ContainerOptions, DeviceRequest } from "../../kv/schema/container.ts";
import type { CreateOptions } from "./client.ts";

type HostConfig = NonNullable<CreateOptions["HostConfig"]>;

/** What belongs to the container itself. */
export function containerOptions(options: ContainerOptions): Partial<Omit<CreateOptions, "name">> {
  const { hostname, domainname, stdinOpen, stdinOnce, platform } = options;
  return present({
    Hostname: hostname,
    Domainname: domainname,
    OpenStdin: stdinOpen,
    StdinOnce: stdinOnce,
    platform,
  });
}

/** What belongs to its relation with the machine. */
export function hostOptions(options: ContainerOptions): Partial<HostConfig> {
  return { ...isolation(options), ...resources(options), ...blockIo(options.blkio ?? {}) };
}

function isolation(options: ContainerOptions): Partial<HostConfig> {
  const { logging, tmpfs, devices, deviceRequests } = options;
  return present({
    ExtraHosts: options.extraHosts,
    Dns: options.dns,
    DnsSearch: options.dnsSearch,
    DnsOptions: options.dnsOptions,
    NetworkMode: options.networkMode,
    IpcMode: options.ipc,
    PidMode: options.pid,
    UTSMode: options.uts,
    UsernsMode: options.userns,
    CgroupnsMode: options.cgroup,
    CgroupParent: options.cgroupParent,
    CapAdd: options.capAdd,
    CapDrop: options.capDrop,
    Privileged: options.privileged,
    SecurityOpt: options.securityOpt,
    ReadonlyRootfs: options.readOnly,
    GroupAdd: options.groupAdd,
    Devices: devices?.map(({ source, target = source, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    })),
    DeviceCgroupRules: options.deviceCgroupRules,
    DeviceRequests: deviceRequests?.map(deviceRequest),
    Runtime: options.runtime,
    Annotations: options.annotations,
    Tmpfs: tmpfs,
    ShmSize: options.shmBytes,
    StorageOpt: options.storageOpt,
    Sysctls: options.sysctls,
    Ulimits: options.ulimits?.map(({ name, soft, hard }) => ({
      Name: name,
      Soft: soft,
      Hard: hard,
    })),
    LogConfig: logging && { Type: logging.driver ?? "", Config: logging.options },
  });
}

function deviceRequest({ driver, count, deviceIds, capabilities, options }: DeviceRequest) {
  return present({
    Driver: driver ?? "",
    Count: deviceIds ? undefined : count ?? -1,
    DeviceIDs: deviceIds,
    Capabilities: [capabilities],
    Options: options,
  });
}

function resources(options: ContainerOptions): Partial<HostConfig> {
  return present({
    PidsLimit: options.pidsLimit,
    MemorySwap: options.memorySwapBytes,
    MemorySwappiness: options.memorySwappiness,
    OomKillDisable: options.oomKillDisable,
    OomScoreAdj: options.oomScoreAdj,
    CpuShares: options.cpuShares,
    CpuQuota: options.cpuQuotaUs,
    CpuPeriod: options.cpuPeriodUs,
    CpuRealtimeRuntime: options.cpuRealtimeRuntimeUs,
    CpuRealtimePeriod: options.cpuRealtimePeriodUs,
    CpusetCpus: options.cpuset,
  });
}

function blockIo(blkio: NonNullable<ContainerOptions["blkio"]>): Partial<HostConfig> {
  const rates = (all: { path: string; rate: number }[] | undefined) =>
    all?.map(({ path, rate }) => ({ Path: path, Rate: rate }));
  return present({
    BlkioWeight: blkio.weight,
    BlkioWeightDevice: blkio.weightDevice?.map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(blkio.readBps),
    BlkioDeviceReadIOps: rates(blkio.readIops),
    BlkioDeviceWriteBps: rates(blkio.writeBps),
    BlkioDeviceWriteIOps: rates(blkio.writeIops),
  });
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that have a value: what is absent is left to the engine. */
function present<T extends object>(fields: T): Present<T> {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as Present<T>;
}
