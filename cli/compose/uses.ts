/**
 * The keys that a project uses, with the table's decision about each: what is emulated is said, what is
 * refused is an error. Asked of the merged files, so that a later file can take out what is refused. Pure.
 *
 * @module
 */
import { isExtension } from "./check.ts";
import { type Key, type KeyRow, TABLE } from "./keys/table.ts";
import {
  ComposeError,
  get,
  isNull,
  type MapTree,
  type Place,
  placeText,
  type Tree,
} from "./tree.ts";

const ROWS: ReadonlyMap<string, KeyRow> = new Map(TABLE.map((row) => [row.path, row]));
const SECTIONS = ["version", "networks", "volumes", "secrets", "configs", "models"];

/** The merged file, and those of its services that are meant. */
export interface Used {
  tree: MapTree;
  services: ReadonlyMap<string, { tree: MapTree; at: Place }>;
}

interface Use {
  row: KeyRow;
  /** As the file has it: `services.web.deploy.mode`. */
  name: string;
  at: Place;
  value: Tree;
  /** The keys that it stands in. */
  within: readonly KeyRow[];
}

type Step = Pick<Use, "name" | "at" | "within"> & { path: string };

function* usesOf({ tree, services }: Used): Generator<Use> {
  for (const section of SECTIONS) {
    const value = get(tree, section);
    if (value) yield* walk(value, { path: section, name: section, at: value.at, within: [] });
  }
  for (const [name, service] of services) {
    const whole = `services.${name}`;
    yield* walk(service.tree, { path: "services.*", name: whole, at: service.at, within: [] });
  }
}

function* walk(value: Tree, { path, name, at, within }: Step): Generator<Use> {
  if (isNull(value)) return;
  const row = ROWS.get(path);
  if (row) yield { row, name, at, value, within };
  const inner = row ? [...within, row] : within;
  if (value.kind === "list") {
    for (const item of value.items) {
      yield* walk(item, { path: `${path}[]`, name, at: item.at, within: inner });
    }
  } else if (value.kind === "map") {
    for (const [key, entry] of value.entries) {
      if (isExtension(key)) continue;
      const known = `${path}.${key}`;
      yield* walk(entry.value, {
        path: ROWS.has(known) ? known : `${path}.*`,
        name: `${name}.${key}`,
        at: entry.at,
        within: inner,
      });
    }
  }
}

/** Throws a {@link ComposeError} for the first key that is refused. */
export function checkRefused(used: Used): void {
  for (const { row, name, at, value } of usesOf(used)) {
    if (row.decision !== "refused" || asksNothing(value, row)) continue;
    throw new ComposeError(`${name} is refused: ${row.note}`, at, row.instead);
  }
}

/** Something refused may be said not to be wanted: `internal: false`. */
function asksNothing(value: Tree, { harmless = [] }: Key): boolean {
  if (value.kind === "scalar") return harmless.includes(value.text);
  return (value.kind === "list" ? value.items.length : value.entries.size) === 0;
}

/** One line for each emulated key that is used, with its first place: said, not silently done. */
export function notesOf(used: Used): string[] {
  const found = new Map<string, { first: Place; count: number; row: KeyRow }>();
  for (const { row, at, within } of usesOf(used)) {
    // What is said of a key is not said again of the keys in it.
    if (row.decision !== "emulated" || within.some(({ note }) => note === row.note)) continue;
    const known = found.get(row.path);
    if (known) known.count++;
    else found.set(row.path, { first: at, count: 1, row });
  }
  return [...found.values()].map(({ first, count, row: { path, note } }) => {
    const more = count > 1 ? ` (and ${count - 1} more)` : "";
    const name = path.replace(/^services\.\*\./, "").replaceAll("[]", "");
    return `${placeText(first)}${more}: ${name}: ${note}`;
  });
}
