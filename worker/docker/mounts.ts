/**
 * From a template's mounts to what the engine is asked to mount. Pure.
 *
 * @module
 */
import type { Assignment } from "../../kv/schema/agent.ts";
import { engineVolumeName, type Mount, type VolumePin } from "../../kv/schema/volume.ts";
import { LABEL, VOLUME_LABEL } from "../runtime.ts";
import type { CreateOptions } from "./client.ts";
import { SECRETS_MOUNT } from "./files.ts";

/** The library asks for more than the engine does. */
type MountSettings = NonNullable<NonNullable<CreateOptions["HostConfig"]>["Mounts"]>[number];
type MountOf<T extends Mount["type"]> = Extract<Mount, { type: T }>;

/** The mounts of the container. Bind mounts whose directory is made at need are told the older way. */
export function mountOptions(assignment: Assignment) {
  const { template: { mounts, secrets } } = assignment;
  const binds: string[] = [];
  const all: object[] = secrets.length > 0 ? [SECRETS_MOUNT] : [];
  for (const mount of mounts) {
    switch (mount.type) {
      case "volume":
        all.push(volumeMount(assignment, mount));
        break;
      case "bind":
        if (needsMaking(mount)) binds.push(bindText(mount));
        else all.push(bindMount(mount));
        break;
      case "tmpfs":
        all.push(tmpfsMount(mount));
        break;
    }
  }
  return {
    ...(all.length > 0 ? { Mounts: all as MountSettings[] } : {}),
    ...(binds.length > 0 ? { Binds: binds } : {}),
  };
}

function volumeMount(
  { project, resolved }: Assignment,
  { source, target, readOnly, noCopy, ...own }: MountOf<"volume">,
) {
  const pin = source === undefined ? undefined : resolved?.volumes[source];
  const { driver, options, labels }: Partial<VolumePin> = pin ?? own;
  const isNamed = source !== undefined && pin !== undefined;
  return {
    Type: "volume",
    Source: isNamed ? engineVolumeName({ project, name: source, id: pin.id }) : "",
    Target: target,
    ReadOnly: readOnly,
    VolumeOptions: {
      NoCopy: noCopy,
      Labels: {
        ...labels,
        ...(isNamed ? { [VOLUME_LABEL]: pin.id, [LABEL.project]: project } : {}),
      },
      ...(driver === undefined && options === undefined
        ? {}
        : { DriverConfig: { Name: driver ?? "local", Options: options ?? {} } }),
    },
  };
}

/** A path with a colon cannot be told the older way. */
function needsMaking({ createHostPath, source, target }: MountOf<"bind">): boolean {
  return createHostPath && !source.includes(":") && !target.includes(":");
}

function bindText({ source, target, readOnly, propagation, selinux }: MountOf<"bind">): string {
  const flags = [readOnly ? "ro" : "rw", propagation, selinux].filter((flag) => flag !== undefined);
  return `${source}:${target}:${flags.join(",")}`;
}

function bindMount({ source, target, readOnly, propagation }: MountOf<"bind">) {
  return {
    ...{ Type: "bind", Source: source, Target: target, ReadOnly: readOnly },
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
  };
}

function tmpfsMount({ target, sizeMiB, mode }: MountOf<"tmpfs">) {
  return {
    ...{ Type: "tmpfs", Target: target },
    TmpfsOptions: {
      ...(sizeMiB === undefined ? {} : { SizeBytes: sizeMiB * 1024 * 1024 }),
      ...(mode === undefined ? {} : { Mode: mode }),
    },
  };
}
