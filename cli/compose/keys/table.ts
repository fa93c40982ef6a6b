/**
 * The table of all keys of the Compose Specification: docs/compose.md is made from it, files are checked
 * with it, and a test holds it against the published JSON schema.
 *
 * @module
 */
import {
  any,
  either,
  emulated,
  honoured,
  type Key,
  type KeyRow,
  keys,
  listOf,
  named,
  refused,
  rowsOf,
  type Shape,
  text,
  textOrTexts,
} from "./key.ts";
import { CONFIG, NETWORK, SECRET, VOLUME } from "./parts.ts";
import { SERVICE } from "./service.ts";

export type { Decision, Key, KeyRow } from "./key.ts";

/** A whole file. */
export const FILE: Shape = keys({
  version: emulated(either({ kind: "number" }, text), "It says nothing since Compose 2"),
  name: honoured(text, "The project, unless -p or COMPOSE_PROJECT_NAME says otherwise"),
  include: honoured(listOf(either(
    text,
    keys({
      path: honoured(textOrTexts),
      env_file: honoured(textOrTexts),
      project_directory: honoured(text),
    }, "path"),
  ))),
  services: honoured(named(keys(SERVICE))),
  networks: emulated(named(keys(NETWORK)), "A project has one network of its own"),
  volumes: honoured(named(keys(VOLUME)), "Made when the first service mounts them"),
  secrets: honoured(named(keys(SECRET)), "`up` brings new values to the services that use them"),
  configs: honoured(named(keys(CONFIG)), "`up` brings new values to the services that use them"),
  models: refused("Berth runs no model runners", "run the model server as a service", {
    shape: named(any),
  }),
});

/** Every key, by path. */
export const TABLE: readonly KeyRow[] = rowsOf(FILE).filter((row, i, all) =>
  all.findIndex((other) => other.path === row.path) === i
);

export function keyAt(path: string): Key | undefined {
  return TABLE.find((row) => row.path === path);
}
