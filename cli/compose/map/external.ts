/**
 * What the files take for granted: volumes, secrets and configs that must be in the cluster. Pure.
 *
 * @module
 */
import type { Project } from "../resolve.ts";
import { entriesOf, get, itemsOf, type Place, type Tree } from "../tree.ts";
import { flagAt, textAt } from "./read.ts";

export const EXTERNAL_SECTIONS = ["volumes", "secrets", "configs"] as const;
export type ExternalSection = (typeof EXTERNAL_SECTIONS)[number];

export interface External {
  section: ExternalSection;
  /** In the files. */
  key: string;
  /** In the cluster. */
  name: string;
  at: Place;
}

export function isExternal(definition: Tree | undefined): boolean {
  const external = get(definition, "external");
  return external !== undefined && (external.kind === "map" || !!flagAt(definition, "external"));
}

/** What something in the files is called in the cluster. */
export function clusterName(definition: Tree | undefined, key: string): string {
  return textAt(definition, "name") ?? textAt(definition, "external", "name") ?? key;
}

/**
 * The definitions of a section that a service uses, by their names in the files; of secrets also the
 * certificates of its routes, which may be the cluster's own.
 */
export function usedBy(service: Tree, section: ExternalSection): string[] {
  const mounted = itemsOf(get(service, section)).map((item) => textAt(item, "source"));
  const routes = section === "secrets" ? itemsOf(get(service, "x-berth", "routes")) : [];
  const certificates = routes.map((route) => textAt(route, "tls", "certificate"));
  return [...mounted, ...certificates].filter((name) => name !== undefined);
}

/** Of what the services use, that which is external. */
export function externalsOf(project: Project): External[] {
  return EXTERNAL_SECTIONS.flatMap((section) => {
    const used = new Set(
      [...project.services.values()].flatMap(({ tree }) => usedBy(tree, section)),
    );
    return entriesOf(get(project.tree, section))
      .filter(([key, { value }]) => used.has(key) && isExternal(value))
      .map(([key, { at, value }]) => ({ section, key, name: clusterName(value, key), at }));
  });
}
