/**
 * From `volumes` of a service to the mounts of a template; `tmpfs` is among the options of the container
 * (container.ts). Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import type { Project } from "../resolve.ts";
import { ComposeError, entriesOf, get, itemsOf, type Tree } from "../tree.ts";
import { clusterName, isExternal } from "./external.ts";
import { flagAt, pairsAt, present, textAt } from "./read.ts";

type Mount = NonNullable<ServiceSpecInput["template"]["mounts"]>[number];

export function mountsOf(project: Project, service: Tree): Mount[] {
  const mounts = itemsOf(get(service, "volumes")).flatMap((item): Mount[] => {
    const target = textAt(item, "target") ?? "";
    const readOnly = flagAt(item, "read_only") ?? false;
    switch (textAt(item, "type")) {
      case "tmpfs":
        return [];
      case "bind":
        return [{
          ...{ type: "bind" as const, source: textAt(item, "source") ?? "", target, readOnly },
          ...present({
            propagation: textAt(item, "bind", "propagation") as "rprivate" | undefined,
            createHostPath: flagAt(item, "bind", "create_host_path"),
            selinux: textAt(item, "bind", "selinux") as "z" | undefined,
          }),
        }];
      case "volume":
        return [{ type: "volume" as const, target, readOnly, ...volumeOf(project, item) }];
      default:
        throw new ComposeError(
          `volumes: a mount of type ${textAt(item, "type")} is refused: the nodes have none`,
          get(item, "type")?.at,
          "use volume, bind or tmpfs",
        );
    }
  });
  // Said twice is said once, as in Compose.
  return [...new Map(mounts.map((mount) => [JSON.stringify(mount), mount])).values()];
}

function volumeOf(project: Project, item: Tree) {
  const key = textAt(item, "source");
  const definition = key === undefined ? undefined : get(project.tree, "volumes", key);
  const labels = { ...pairsAt(definition, "labels"), ...pairsAt(item, "volume", "labels") };
  return present({
    source: key === undefined ? undefined : volumeName(project, key),
    noCopy: flagAt(item, "volume", "nocopy"),
    driver: textAt(definition, "driver"),
    options: pairsAt(definition, "driver_opts"),
    labels: Object.keys(labels).length === 0 ? undefined : labels,
  });
}

function volumeName(project: Project, key: string): string {
  return clusterName(get(project.tree, "volumes", key), key);
}

/** The names of the volumes that are the project's own: `down -v` removes them. */
export function ownVolumes(project: Project): string[] {
  return entriesOf(get(project.tree, "volumes")).filter(([, { value }]) => !isExternal(value))
    .map(([key]) => volumeName(project, key));
}
