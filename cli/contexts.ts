/**
 * The contexts file: named servers with their tokens, and which one is current. It holds secrets,
 * so it is written with mode 0600, atomically (a new file renamed over the old one), and never read
 * when others may read it. A file that cannot be understood is reported and left as it is.
 *
 * @module
 */
import { z } from "zod";

const Context = z.object({ server: z.url(), token: z.string().min(1).optional() });
const Contexts = z.object({
  current: z.string().optional(),
  contexts: z.record(z.string(), Context).default({}),
});
export type Contexts = z.infer<typeof Contexts>;
export type Context = z.infer<typeof Context>;

export type ContextsResult = { ok: true; value: Contexts } | { ok: false; message: string };

export interface ContextStore {
  path: string;
  /** An absent file is an empty one. */
  read(): Promise<ContextsResult>;
  /** Reads, changes and writes. `change` returns the new contents, or why not. */
  update(change: (contexts: Contexts) => ContextsResult): Promise<ContextsResult>;
}

export function contextStore(path: string): ContextStore {
  async function read(): Promise<ContextsResult> {
    let text: string;
    try {
      const { mode } = await Deno.stat(path);
      if (mode !== null && (mode & 0o077) !== 0) {
        return {
          ok: false,
          message: `${path} holds tokens and may be read by others (mode ${
            (mode & 0o777).toString(8).padStart(4, "0")
          }). Close it: chmod 600 ${path}`,
        };
      }
      text = await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { ok: true, value: { contexts: {} } };
      return { ok: false, message: `cannot read ${path}: ${messageOf(error)}` };
    }
    return parseContexts(text, path);
  }

  async function write(contexts: Contexts): Promise<ContextsResult> {
    const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    try {
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
      await Deno.writeTextFile(temporary, JSON.stringify(contexts, null, 2) + "\n", {
        mode: 0o600,
        createNew: true,
      });
      await Deno.rename(temporary, path);
      return { ok: true, value: contexts };
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      return { ok: false, message: `cannot write ${path}: ${messageOf(error)}` };
    }
  }

  return {
    path,
    read,
    async update(change) {
      const before = await read();
      if (!before.ok) return before;
      const after = change(before.value);
      return after.ok ? await write(after.value) : after;
    },
  };
}

/** The file's contents. Errors name the place, never a value: the values are secrets. */
export function parseContexts(text: string, path: string): ContextsResult {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, message: `${path} is not valid JSON. ${REPAIR}` };
  }
  const parsed = Contexts.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data };
  const where = parsed.error.issues.map((issue) => issue.path.join(".") || "(root)").join(", ");
  return { ok: false, message: `${path} has a wrong value at ${where}. ${REPAIR}` };
}

const REPAIR = "It was left as it is: repair it, or move it away and start anew";

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
