/**
 * The order in which services start. Pure.
 *
 * @module
 */
import { ComposeError, type Place } from "./tree.ts";

export interface Dependency {
  name: string;
  condition: "service_started" | "service_healthy" | "service_completed_successfully";
  required: boolean;
  at: Place;
}

interface Dependent {
  dependsOn: readonly Pick<Dependency, "name" | "at">[];
}

/** Throws a {@link ComposeError} that shows the circle, if there is one. */
export function checkOrder(services: ReadonlyMap<string, Dependent>): void {
  const done = new Set<string>();
  const visit = (name: string, chain: readonly string[], at: Place | undefined) => {
    const before = chain.indexOf(name);
    if (before !== -1) {
      const circle = [...chain.slice(before), name].join(" → ");
      throw new ComposeError(
        `services depend on one another in a circle: ${circle}`,
        at,
        "take one of these dependencies out",
      );
    }
    if (done.has(name)) return;
    for (const { name: other, at: place } of services.get(name)?.dependsOn ?? []) {
      visit(other, [...chain, name], place);
    }
    done.add(name);
  };
  for (const name of services.keys()) visit(name, [], undefined);
}

/** Services of a wave depend on none of the same or a later wave. There must be no circle. */
export function wavesOf(services: ReadonlyMap<string, Dependent>): string[][] {
  const level = new Map<string, number>();
  const levelOf = (name: string): number => {
    const known = level.get(name);
    if (known !== undefined) return known;
    const below = (services.get(name)?.dependsOn ?? []).filter(({ name: other }) =>
      services.has(other)
    ).map(({ name: other }) => levelOf(other));
    const own = below.length === 0 ? 0 : Math.max(...below) + 1;
    level.set(name, own);
    return own;
  };
  const waves: string[][] = [];
  for (const name of services.keys()) (waves[levelOf(name)] ??= []).push(name);
  return waves;
}
