/**
 * Which key a database's values are sealed with, and sealing them anew with another.
 *
 * @module
 */
import { z } from "zod";
import { key, prefix } from "./keys.ts";
import { Registry } from "./schema/registry.ts";
import { aboutRegistry } from "./registries.ts";
import { Sealed, SealedKind, SealedPart } from "./schema/sealed.ts";
import { aboutPart } from "./sealed_reads.ts";
import { getRow, type Kv, listRows } from "./store.ts";
import type { Vault } from "./vault.ts";
import { openVault } from "./vault_file.ts";

const VaultRow = z.object({ keyId: z.string() });

export type VaultStarted =
  | { ok: true; vault: Vault; resealed: number; unreadable: string[] }
  | { ok: false; problem: string };

/** Opens the vault that goes with a database, and has everything in it sealed with its first key. */
export async function startVault(
  kv: Kv,
  source: { given: string | undefined; path: string | undefined },
): Promise<VaultStarted> {
  const opened = await openVault(source);
  if (!opened.ok) return opened;
  const rekeyed = await rekey(kv, opened.vault, opened.from);
  return rekeyed.ok ? { ...rekeyed, vault: opened.vault } : rekeyed;
}

export type Rekeyed =
  | { ok: true; resealed: number; unreadable: string[] }
  | { ok: false; problem: string };

/**
 * Takes the vault's first key into use, and seals with it what is sealed with another that the vault has.
 * A vault without the key in use is refused: what it sealed could not be read by the others.
 */
export async function rekey(
  kv: Kv,
  vault: Vault,
  from: string,
): Promise<Rekeyed> {
  const used = await getRow(kv, key.vault(), VaultRow);
  if (used && !vault.has(used.row.keyId)) {
    const problem = `the database's secrets are sealed with key ${used.row.keyId}, and ${from} ` +
      `has ${vault.keyId} only. Restore the key that was used (every server of a cluster needs the ` +
      "same), or put a new one before it.";
    return { ok: false, problem };
  }
  if (used?.row.keyId !== vault.keyId) {
    const op = kv.atomic().check({ key: key.vault(), versionstamp: used?.versionstamp ?? null });
    const claimed = await op.set(key.vault(), { keyId: vault.keyId }).commit();
    if (!claimed.ok) return await rekey(kv, vault, from);
  }
  let resealed = 0;
  const unreadable: string[] = [];
  for await (const entry of listRows(kv, prefix.sealedValues(), SealedPart)) {
    if (entry.row.keyId === vault.keyId) continue;
    const name = await reseal(kv, vault, entry);
    if (name === undefined) resealed++;
    else unreadable.push(name);
  }
  for await (const entry of listRows(kv, prefix.registries(), Registry)) {
    if (entry.row.keyId === vault.keyId) continue;
    if (await resealLogin(kv, vault, entry)) resealed++;
    else unreadable.push(`registry ${entry.row.registry}`);
  }
  return { ok: true, resealed, unreadable };
}

async function resealLogin(
  kv: Kv,
  vault: Vault,
  entry: { key: Deno.KvKey; row: Registry; versionstamp: string },
): Promise<boolean> {
  const password = await vault.open(entry.row, aboutRegistry(entry.row));
  if (!password) return false;
  const box = await vault.seal(password, aboutRegistry(entry.row));
  await kv.atomic().check(entry).set(entry.key, { ...entry.row, ...box }).commit();
  return true;
}

/** Answers what could not be opened. */
async function reseal(
  kv: Kv,
  vault: Vault,
  entry: { key: Deno.KvKey; row: SealedPart; versionstamp: string },
): Promise<string | undefined> {
  const [, kindPart, id, version, part] = entry.key;
  const kind = SealedKind.parse(kindPart);
  const row = (await getRow(kv, key.sealed(kind, String(id)), Sealed))?.row;
  if (!row) return undefined; // Removed meanwhile.
  const { parts } = entry.row;
  const about = aboutPart(row, Number(version), { part: Number(part), parts });
  const value = await vault.open(entry.row, about);
  if (!value) return `${kind} ${row.project}/${row.name} version ${String(version)}`;
  const box = await vault.seal(value, about);
  // Lost to another server that does the same, or to the removal.
  await kv.atomic().check(entry).set(entry.key, { ...box, parts }).commit();
  return undefined;
}
