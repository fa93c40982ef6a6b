/**
 * What a service mounts, other than `tmpfs` (container.ts). Pure.
 *
 * @module
 */
import { ComposeError, get, itemsOf, textOf, type Tree } from "../tree.ts";

/** A mount that would not be there must not be left out in silence. */
export function refuseMounts(service: Tree): void {
  for (const item of itemsOf(get(service, "volumes"))) {
    const type = textOf(get(item, "type"));
    if (type === "tmpfs") continue;
    throw new ComposeError(
      `volumes: a mount of type ${type} is refused: tasks have no volumes that outlive them`,
      item.at,
      "use type: tmpfs for what may be lost, or put the files into the image",
    );
  }
}
