/**
 * A fresh memory database for one test.
 *
 * @module
 */
import { openStore } from "../../kv/open.ts";
import type { Kv } from "../../kv/store.ts";

export async function withKv(run: (kv: Kv) => Promise<void>): Promise<void> {
  const opened = await openStore(":memory:");
  if (!opened.ok) throw new Error(opened.problem);
  try {
    await run(opened.store.kv);
  } finally {
    opened.store.close();
  }
}

/** Every row, for comparing before and after. */
export async function dump(kv: Kv): Promise<Map<string, unknown>> {
  const rows = new Map<string, unknown>();
  for await (const entry of kv.list({ prefix: [] })) {
    rows.set(entry.key.join("/"), entry.value);
  }
  return rows;
}
