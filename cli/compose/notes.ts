/**
 * What is done differently from what a file may expect: said, not silently done. Pure.
 *
 * @module
 */
import { isExtension } from "./check.ts";
import { type KeyRow, TABLE } from "./keys/table.ts";
import type { Project } from "./resolve.ts";
import { get, isNull, type Place, placeText, type Tree } from "./tree.ts";

const EMULATED: ReadonlyMap<string, KeyRow> = new Map(
  TABLE.filter(({ decision }) => decision === "emulated").map((row) => [row.path, row]),
);
const KNOWN = new Set(TABLE.map(({ path }) => path));

interface Use {
  first: Place;
  count: number;
}

/** One line for each emulated key that is used, with its first place. */
export function notesOf(project: Project): string[] {
  const uses = new Map<string, Use>();
  const note = (path: string, at: Place) => {
    const use = uses.get(path);
    if (use) use.count++;
    else uses.set(path, { first: at, count: 1 });
  };
  for (const section of ["version", "networks", "volumes", "secrets", "configs"]) {
    const value = get(project.tree, section);
    if (value) walk(value, section, value.at, note);
  }
  for (const { tree, at } of project.services.values()) walk(tree, "services.*", at, note);
  return [...uses].map(([path, { first, count }]) => {
    const more = count > 1 ? ` (and ${count - 1} more)` : "";
    const name = path.replace(/^services\.\*\./, "").replaceAll("[]", "");
    return `${placeText(first)}${more}: ${name}: ${EMULATED.get(path)?.note ?? ""}`;
  });
}

/** What is said of a key is not said again of the keys in it. */
function walk(
  tree: Tree,
  path: string,
  at: Place,
  note: (path: string, at: Place) => void,
  said = "",
): void {
  if (isNull(tree)) return;
  const own = EMULATED.get(path)?.note ?? said;
  if (own !== said) note(path, at);
  if (tree.kind === "list") {
    for (const item of tree.items) walk(item, `${path}[]`, item.at, note, own);
  } else if (tree.kind === "map") {
    for (const [name, entry] of tree.entries) {
      if (isExtension(name)) continue;
      const inner = KNOWN.has(`${path}.${name}`) ? `${path}.${name}` : `${path}.*`;
      walk(entry.value, inner, entry.at, note, own);
    }
  }
}
