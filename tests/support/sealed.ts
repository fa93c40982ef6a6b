/**
 * Configs and secrets in tests: made, rotated and read back as users and nodes do.
 *
 * @module
 */
import { assert } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { Sealed, type SealedKind } from "../../kv/schema/sealed.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createSealed, rotateSealed, type SealedDeps } from "../../kv/sealed.ts";
import { openSealed } from "../../kv/sealed_reads.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { countingIds } from "./ids.ts";
import { assertOk } from "./outcome.ts";
import { specOf } from "./seed.ts";
import { TEST_VAULT } from "./vault.ts";

export const PROJECT = "default";
export const WEB = { ref: "web", project: PROJECT };

export function depsOf(kv: Kv): SealedDeps {
  return { kv, clock: systemClock, newId: countingIds(), vault: TEST_VAULT };
}

export const dataOf = (text: string) => encodeBase64(new TextEncoder().encode(text));

export async function create(
  deps: SealedDeps,
  name: string,
  text: string,
  kind: SealedKind = "secret",
) {
  const request = { name, project: PROJECT, labels: {}, data: dataOf(text) };
  return assertOk(await createSealed(deps, kind, request)).value;
}

export async function rotate(
  deps: SealedDeps,
  name: string,
  text: string,
  kind: SealedKind = "secret",
) {
  const ref = { kind, ref: name, project: PROJECT };
  return assertOk(await rotateSealed(deps, ref, { data: dataOf(text) })).value;
}

export async function valueOf(deps: SealedDeps, id: string, version: number): Promise<string> {
  const row = (await getRow(deps.kv, key.sealed("secret", id), Sealed))?.row;
  assert(row);
  return new TextDecoder().decode(assertOk(await openSealed(deps, row, version)));
}

export function using(name: string, more: Partial<ServiceSpecInput> = {}) {
  return specOf({ template: { image: "nginx:1.27", secrets: [{ source: name }] }, ...more });
}
