/**
 * Opening the database: `Deno.openKv` appears here and nowhere else.
 *
 * @module
 */
import { key } from "./keys.ts";
import { type Kv, messageOf, storeFailure } from "./store.ts";

export interface Store {
  kv: Kv;
  /** No other process can have it open: a memory database, or a file under our lock. */
  exclusive: boolean;
  /** Where it is, for messages. */
  location: string;
  close(): void;
}

export type OpenResult = { ok: true; store: Store } | { ok: false; problem: string };

/**
 * Opens `:memory:`, a file (made if absent, locked against other processes), or a KV Connect URL.
 * A corrupt or locked file is an answer that says what to do, and leaves the file as it is.
 */
export async function openStore(location: string): Promise<OpenResult> {
  const remote = /^https?:\/\//.test(location);
  const file = !remote && location !== ":memory:";
  const lock = file ? await lockFile(location) : undefined;
  if (lock && !lock.ok) return lock;
  const damage = file ? await inspectFile(location) : undefined;
  if (damage) {
    lock?.release();
    return { ok: false, problem: damage };
  }
  let kv: Deno.Kv | undefined;
  try {
    kv = await Deno.openKv(location);
    await kv.get(key.cluster());
  } catch (error) {
    kv?.close();
    lock?.release();
    return { ok: false, problem: openProblem(location, error) };
  }
  const opened = kv;
  return {
    ok: true,
    store: {
      kv: opened,
      exclusive: !remote,
      location,
      close() {
        opened.close();
        lock?.release();
      },
    },
  };
}

type Lock = { ok: true; release(): void } | { ok: false; problem: string };

/** Several processes on one SQLite file lose writes to "database is locked": one process, ever. */
async function lockFile(path: string): Promise<Lock> {
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) await Deno.mkdir(path.slice(0, slash), { recursive: true });
    const file = await Deno.open(`${path}.lock`, { create: true, write: true });
    if (await file.tryLock(true)) return { ok: true, release: () => file.close() };
    file.close();
    return {
      ok: false,
      problem: `open ${path}: another berth server has it open. Stop that one, or give this one ` +
        `a directory of its own with --data DIR.`,
    };
  } catch (error) {
    return { ok: false, problem: openProblem(path, error) };
  }
}

const SQLITE_MAGIC = "SQLite format 3\0";

/**
 * A look at the file's header before SQLite touches it: a foreign or truncated file is refused
 * unchanged. With a write-ahead log beside it a short file is normal (the log holds the rest).
 */
async function inspectFile(path: string): Promise<string | undefined> {
  const hint = "Nothing was changed. Restore a backup, or move the file away to start afresh.";
  try {
    const { size } = await Deno.stat(path);
    if (size === 0) return undefined;
    const header = new Uint8Array(100);
    using file = await Deno.open(path);
    const read = await file.read(header) ?? 0;
    if (read < 100 || new TextDecoder().decode(header.subarray(0, 16)) !== SQLITE_MAGIC) {
      return `open ${path}: it is not a Berth database (no SQLite header). ${hint}`;
    }
    const view = new DataView(header.buffer);
    const pageSize = view.getUint16(16) === 1 ? 65536 : view.getUint16(16);
    const pages = view.getUint32(28);
    const sizeIsKnown = view.getUint32(24) === view.getUint32(92);
    if (sizeIsKnown && size < pages * pageSize && await fileSize(`${path}-wal`) === 0) {
      return `open ${path}: the file is truncated: ${size} bytes of ${pages * pageSize}. ${hint}`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    return openProblem(path, error);
  }
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function openProblem(location: string, error: unknown): string {
  const message = messageOf(error);
  if (/not a database|malformed/.test(message)) {
    return `open ${location}: the database is damaged (${message}). Nothing was changed. ` +
      `Restore a backup, or move the file away to start afresh.`;
  }
  if (storeFailure(error)?.kind === "full") {
    return `open ${location}: no space left on its disk. Make room and start again.`;
  }
  return `open ${location}: ${message}`;
}
