/**
 * The database, ready for a control plane: opened, its cluster known, its secrets sealed with the
 * newest key, and an admin token in it.
 *
 * @module
 */
import { type CachedKv, cacheRows } from "../../kv/cached.ts";
import { initCluster } from "../../kv/cluster.ts";
import { startVault } from "../../kv/rekey.ts";
import { openStore, type Store } from "../../kv/open.ts";
import { ensureAdminToken, type TokenDeps } from "../../kv/tokens.ts";
import type { Vault } from "../../kv/vault.ts";
import type { Log } from "../../scheduler/term.ts";
import type { Answer, ServerConfig } from "./config.ts";

export interface Database extends Pick<Store, "exclusive" | "close"> {
  /** Rows are kept in memory, and tracked, where no other process can change them. */
  rows: Pick<CachedKv, "cached" | "direct"> & Partial<CachedKv>;
  vault: Vault;
  /** When this start made it. A secret. */
  adminToken?: string;
}

/** Opens the database of `config`. The answer's owner calls `close`; a problem leaves nothing open. */
export async function openDatabase(
  config: ServerConfig,
  deps: TokenDeps & { log: Log },
): Promise<Answer<Database>> {
  const opened = await openStore(config.location);
  if (!opened.ok) return opened;
  const { store } = opened;
  const rows: Database["rows"] = store.exclusive
    ? cacheRows(store.kv)
    : { cached: store.kv, direct: store.kv };
  const prepared = await prepare(rows.direct, config, deps);
  if (!prepared.ok) {
    store.close();
    return prepared;
  }
  const { exclusive } = store;
  return { ok: true, value: { rows, exclusive, ...prepared.value, close: () => store.close() } };
}

async function prepare(
  kv: CachedKv["direct"],
  config: ServerConfig,
  { log, ...deps }: TokenDeps & { log: Log },
): Promise<Answer<Pick<Database, "vault" | "adminToken">>> {
  const cluster = await initCluster(kv, {
    newId: deps.newId,
    wallMs: deps.clock.wallMs(),
    ...(config.strategy ? { strategy: config.strategy } : {}),
  });
  if (!cluster.ok) return cluster;
  const started = await startVault(kv, {
    given: config.vaultKeys,
    path: config.location === ":memory:" ? undefined : `${config.dataDir}/vault.key`,
  });
  if (!started.ok) return started;
  const { vault, resealed, unreadable } = started;
  if (resealed > 0) log("info", "secrets sealed anew", { resealed, keyId: vault.keyId });
  if (unreadable.length > 0) log("error", "secrets that no key here opens", { unreadable });
  const adminToken = await ensureAdminToken({ kv, ...deps });
  return { ok: true, value: { vault, ...(adminToken === undefined ? {} : { adminToken }) } };
}
