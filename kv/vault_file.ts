/**
 * Where the vault's keys come from: a variable, or a file that only its owner may read, made at the
 * first start.
 *
 * @module
 */
import { encodeBase64 } from "./schema/base64.ts";
import { messageOf } from "./store.ts";
import { createVault, KEY_BYTES, parseKeys, type Vault } from "./vault.ts";

export type VaultOpened =
  | { ok: true; vault: Vault; from: string }
  | { ok: false; problem: string };

const VARIABLE = "BERTH_VAULT_KEY";

/** Keys from `given`, else from `path`, else new ones; without a path they live as long as the process. */
export async function openVault(
  { given, path }: { given: string | undefined; path: string | undefined },
): Promise<VaultOpened> {
  if (given !== undefined) return await fromText(given, VARIABLE);
  if (path === undefined) {
    return { ok: true, vault: await createVault([newKey()]), from: "memory" };
  }
  try {
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      const problem = `read ${path}: others may read it, and it opens every secret. ` +
        `Run: chmod 600 ${path}`;
      return { ok: false, problem };
    }
    return await fromText(await Deno.readTextFile(path), path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      return { ok: false, problem: `read ${path}: ${messageOf(error)}` };
    }
  }
  return await makeFile(path);
}

async function fromText(text: string, from: string): Promise<VaultOpened> {
  const read = parseKeys(text);
  if (!read.ok) {
    const problem = `read the keys in ${from}: ${read.problem}. Make one with: ` +
      `openssl rand -base64 ${KEY_BYTES}`;
    return { ok: false, problem };
  }
  return { ok: true, vault: await createVault(read.keys), from };
}

/** Complete and on the disk before it has its name: a key that is lost half-way loses every secret. */
async function makeFile(path: string): Promise<VaultOpened> {
  const key = newKey();
  const temporary = `${path}.new`;
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) await Deno.mkdir(path.slice(0, slash), { recursive: true });
    {
      using file = await Deno.open(temporary, {
        create: true,
        write: true,
        truncate: true,
        mode: 0o600,
      });
      await file.write(new TextEncoder().encode(`${encodeBase64(key)}\n`));
      await file.sync();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    const problem =
      `write ${path}, the key of secrets: ${messageOf(error)}. Make it writable, or ` +
      `give a key in ${VARIABLE} (openssl rand -base64 ${KEY_BYTES})`;
    return { ok: false, problem };
  }
  return { ok: true, vault: await createVault([key]), from: path };
}

function newKey(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}
