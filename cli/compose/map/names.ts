/**
 * The further names by which other services reach one: aliases of networks, `container_name`, and the
 * aliases that others link it with. Pure.
 *
 * @module
 */
import { Alias } from "../../../kv/schema/common.ts";
import type { ComposeService, Project } from "../resolve.ts";
import { ComposeError, entriesOf, get, itemsOf, type Place, textOf, type Tree } from "../tree.ts";

/**
 * Without the service's own name, but with what the file calls it when that is another: clients look for it.
 * Undefined when there are none.
 */
export function aliasesOf(project: Project, service: ComposeService): string[] | undefined {
  const { tree, berthName } = service;
  const given: Tree[] = [];
  for (const [, { value }] of entriesOf(get(tree, "networks"))) {
    given.push(...itemsOf(get(value, "aliases")));
  }
  const container = get(tree, "container_name");
  if (container && textOf(container) !== "") given.push(container);
  const names = [
    aliasOf(service.name, service),
    ...given.map((item) => aliasOf(textOf(item) ?? "", item)),
  ];
  for (const other of project.services.values()) {
    for (const item of itemsOf(get(other.tree, "links"))) {
      const [name, alias] = (textOf(item) ?? "").split(":");
      if (!project.services.has(name ?? "")) {
        throw new ComposeError(
          `links: there is no service ${name}`,
          item.at,
          "link one of this file",
        );
      }
      if (name === service.name && alias !== undefined) names.push(aliasOf(alias, item));
    }
  }
  const aliases = [...new Set(names)].filter((name) => name !== berthName).sort();
  return aliases.length === 0 ? undefined : aliases;
}

function aliasOf(name: string, { at }: { at: Place }): string {
  const alias = Alias.safeParse(name.toLowerCase());
  if (alias.success) return alias.data;
  throw new ComposeError(`"${name}" cannot be a host name`, at, "use a-z, 0-9, _ and -, and dots");
}
