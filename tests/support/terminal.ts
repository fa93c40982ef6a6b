/**
 * The command line in a real pseudo-terminal.
 *
 * @module
 */
const ROOT = new URL("../..", import.meta.url).pathname;
const DENO = Deno.execPath();

/** util-linux's script(1), which makes a pseudo-terminal. */
const hasScript = await (async () => {
  try {
    const { code, stdout } = await new Deno.Command("script", { args: ["--version"] }).output();
    return code === 0 && new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
})();

export function ptyTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: hasScript ? name : `${name} (ignored: no script(1) of util-linux on this machine)`,
    ignore: !hasScript,
    fn,
  });
}

export interface Terminal {
  text(): string;
  type(keys: string): Promise<void>;
  end(): Promise<string>;
}

/** Runs a shell line in a pseudo-terminal, in which `$B` is berth. */
export function inTerminal(
  line: string,
  env: Record<string, string>,
  { columns = 80 }: { columns?: number } = {},
): Terminal {
  const child = new Deno.Command("script", {
    args: ["-qec", `unset NO_COLOR; stty cols ${columns} rows 24; ${line}`, "/dev/null"],
    cwd: ROOT,
    env: { ...env, B: `${DENO} run --quiet -P=cli cli/main.ts`, TERM: "xterm", SHELL: "/bin/sh" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const keys = child.stdin.getWriter();
  let text = "";
  const reading = (async () => {
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) text += piece;
  })();
  return {
    text: () => text,
    type: (pressed) => keys.write(new TextEncoder().encode(pressed)),
    async end() {
      await child.status;
      await reading;
      await keys.close().catch(() => {});
      return text;
    },
  };
}
