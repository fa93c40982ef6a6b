/**
 * The cluster row: identity and schema version of a database.
 *
 * @module
 */
import { key } from "./keys.ts";
import { timestamp } from "./schema/common.ts";
import { Cluster, SCHEMA_VERSION } from "./schema/control.ts";
import type { StrategyName } from "./schema/service.ts";
import { getRow, type Kv } from "./store.ts";

export type InitResult = { ok: true; cluster: Cluster } | { ok: false; problem: string };

/**
 * Reads the cluster row, or makes it in a fresh database. A database of a newer schema is refused:
 * this program would misread it.
 */
export async function initCluster(
  kv: Kv,
  options: { newId: () => string; wallMs: number; strategy?: StrategyName },
): Promise<InitResult> {
  const entry = await kv.get<{ schema?: unknown }>(key.cluster());
  const schema = entry.value?.schema;
  if (typeof schema === "number" && schema > SCHEMA_VERSION) {
    return {
      ok: false,
      problem: `open the database: its schema is version ${schema}, this program knows ` +
        `${SCHEMA_VERSION}. It was written by a newer Berth: run that one. Nothing was changed.`,
    };
  }
  if (entry.versionstamp === null) {
    const fresh: Cluster = {
      schema: SCHEMA_VERSION,
      id: options.newId(),
      createdAt: timestamp(options.wallMs),
      strategy: options.strategy ?? "spread",
    };
    // Lost to another replica that starts at the same time: its row counts.
    await kv.atomic().check({ key: key.cluster(), versionstamp: null })
      .set(key.cluster(), fresh).commit();
  } else if (options.strategy !== undefined) {
    const row = Cluster.parse(entry.value);
    if (row.strategy !== options.strategy) {
      await kv.atomic().check(entry).set(key.cluster(), { ...row, strategy: options.strategy })
        .commit();
    }
  }
  return { ok: true, cluster: await readCluster(kv) };
}

/** The cluster row of a database that {@link initCluster} has seen. */
export async function readCluster(kv: Kv): Promise<Cluster> {
  const found = await getRow(kv, key.cluster(), Cluster);
  if (!found) throw new Error("read cluster: the row is missing");
  return found.row;
}
