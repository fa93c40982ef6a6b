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

/** The same store, to be changed in parts: its methods work without it. */
export function bound(kv: Kv): Kv {
  return {
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    list: kv.list.bind(kv),
    atomic: kv.atomic.bind(kv),
    watch: kv.watch.bind(kv),
    close: kv.close.bind(kv),
  };
}

/** A store that does something, once, before it reads a row of that kind. */
export function before(kv: Kv, kind: string, act: () => Promise<void>): Kv {
  let done = false;
  return {
    ...bound(kv),
    async get(at, options) {
      if (at[0] === kind && !done) {
        done = true;
        await act();
      }
      return await kv.get(at, options);
    },
  };
}
