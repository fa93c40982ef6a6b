/**
 * The command line as a process of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Who answers, and where the command line finds what it keeps (nowhere, when absent). */
export interface BerthOptions {
  server: { url: string; token: string };
  configDir?: string;
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export function berthCommand(
  { server, configDir = "/nonexistent" }: BerthOptions,
  args: readonly string[],
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-P=cli", "cli/main.ts", ...args],
    cwd: ROOT,
    env: {
      ...{ BERTH_SERVER: server.url, BERTH_TOKEN: server.token },
      ...{ XDG_CONFIG_HOME: configDir, BERTH_CONTEXT: "" },
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs it to its end. */
export async function ranBerth(options: BerthOptions, args: readonly string[]): Promise<Ran> {
  const { code, stdout, stderr } = await berthCommand(options, args).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Runs it to its end, which must be a good one; answers what it printed. */
export async function berth(server: BerthOptions["server"], ...args: string[]): Promise<string> {
  const { code, out, err } = await ranBerth({ server }, args);
  assertEquals(code, 0, err);
  return out;
}
