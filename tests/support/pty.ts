/**
 * Commands in a real pseudo-terminal.
 *
 * @module
 */
const ROOT = new URL("../..", import.meta.url).pathname;
const DENO = Deno.execPath();

/** util-linux's script(1), which makes a pseudo-terminal. */
export const hasPty = await (async () => {
  try {
    const { code, stdout } = await new Deno.Command("script", { args: ["--version"] }).output();
    return code === 0 && new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
})();

/** Defines a test that needs a pseudo-terminal. */
export function ptyTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: hasPty ? name : `${name} (ignored: no script(1) of util-linux on this machine)`,
    ignore: !hasPty,
    fn,
  });
}

export interface Terminal {
  text(): string;
  type(keys: string): Promise<void>;
  end(): Promise<string>;
}

const berth = (env: Record<string, string>) => ({
  ...env,
  B: `${DENO} run --quiet --config=${ROOT}deno.json -P=cli ${ROOT}cli/main.ts`,
  TERM: "xterm",
});

/** Runs a shell line in a pseudo-terminal, in which `$B` is berth. */
export function inTerminal(
  line: string,
  env: Record<string, string>,
  { columns = 80, cwd = ROOT }: { columns?: number; cwd?: string } = {},
): Terminal {
  const child = new Deno.Command("script", {
    args: ["-qec", `unset NO_COLOR; stty cols ${columns} rows 24; ${line}`, "/dev/null"],
    cwd,
    env: { ...berth(env), SHELL: "/bin/sh" },
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

/** The same without a terminal: standard output and error together, as a log file gets them. */
export async function withoutTerminal(
  line: string,
  env: Record<string, string>,
  { cwd = ROOT }: { cwd?: string } = {},
): Promise<string> {
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: ["-c", `unset NO_COLOR; exec 2>&1; ${line}`],
    cwd,
    env: berth(env),
    stdin: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

/** Escape sequences, ends of lines, and what is between them. */
// deno-lint-ignore no-control-regex
const PIECES = /\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+/g;

/** What a terminal shows in the end: lines, with what was drawn over itself gone, and colours left out. */
export function screenOf(text: string): string[] {
  const lines = [""];
  let row = 0;
  for (const [piece, many = "", what] of text.matchAll(PIECES)) {
    if (what === "A") row = Math.max(0, row - Number(many || "1"));
    else if (what === "J") lines.splice(row, lines.length, "");
    else if (what === "K") lines[row] = "";
    else if (piece === "\n") lines[++row] ??= "";
    else if (what === undefined && piece !== "\r") lines[row] += piece;
  }
  return lines;
}
