/**
 * The command line as a process of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface BerthOptions {
  /** Who answers. */
  server: { url: string; token: string };
  /** Where the command line finds what it keeps; nowhere, when absent. */
  configDir?: string;
  /** Where it is called; absent: at the root of the checkout. */
  cwd?: string;
  env?: Record<string, string>;
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export function berthCommand(
  { server, configDir = "/nonexistent", cwd = ROOT, env = {} }: BerthOptions,
  args: readonly string[],
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", `--config=${ROOT}deno.json`, "-P=cli", `${ROOT}cli/main.ts`],
      ...args,
    ],
    cwd,
    env: {
      ...{ BERTH_SERVER: server.url, BERTH_TOKEN: server.token },
      ...{ XDG_CONFIG_HOME: configDir, BERTH_CONTEXT: "" },
      ...env,
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
