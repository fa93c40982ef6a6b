/**
 * Which code a count of seeds is of: a digest of all that decides a history, so that a commit that touches
 * nothing of it (documentation, the command line, other tests) leaves the count as it is.
 *
 * @module
 */
const ROOT = new URL("../../", import.meta.url);
/** Where a run begins; what it imports, and what that imports, decides histories. */
const ENTRY = "tests/sim/run.ts";
/** The versions of packages. */
const LOCK = "deno.lock";
const DIGITS = 12;

/** The digest, in a few hex digits; of the runtime's version too. */
export async function codeDigest(): Promise<string> {
  const files = [...await decidingFiles(), LOCK];
  const texts = await Promise.all(
    files.map(async (path) => `${path}\n${await Deno.readTextFile(new URL(path, ROOT))}`),
  );
  const bytes = new TextEncoder().encode([Deno.version.deno, ...texts].join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex().slice(0, DIGITS);
}

/** The project's files that decide histories, in order. Imports of types alone decide nothing. */
export async function decidingFiles(): Promise<string[]> {
  const found = new Set([ENTRY]);
  for (const path of found) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const target of importsOf(text)) {
      if (!target.startsWith(".")) continue;
      found.add(new URL(target, new URL(path, ROOT)).href.slice(ROOT.href.length));
    }
  }
  return [...found].sort();
}

/** A file's imports and what it exports from elsewhere. */
function importsOf(text: string): string[] {
  const statements = [
    ...text.matchAll(/^(?:import|export)\s(?!type\s)[^;]*?\bfrom\s+"([^"]+)"/gm),
    ...text.matchAll(/^import\s+"([^"]+)"/gm),
    ...text.matchAll(/\bimport\(\s*"([^"]+)"/g),
  ];
  return statements.map(([, target = ""]) => target);
}

/** The commit that is checked out; `unknown` where there is no git. */
export async function commitId(): Promise<string> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["rev-parse", "--short=12", "HEAD"],
      cwd: new URL(".", ROOT),
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "unknown";
    throw error;
  }
}
