/**
 * Load generators as processes of their own: in one with the server they would take its thread, in one with
 * the bench the bench's. The first line on their standard input says what to do, its end when to stop;
 * each line on their standard output is one JSON value.
 *
 * @module
 */
const ROOT = new URL("../..", import.meta.url).pathname;

export interface Generator {
  /** The next value that it says. */
  next<T>(): Promise<T>;
  /** Asks it to stop; it may still say something. */
  stop(): Promise<void>;
  /** Ends it, whatever it does. */
  close(): Promise<void>;
}

export async function startGenerator(script: string, config: unknown): Promise<Generator> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-P=bench", `tests/bench/${script}`],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(`${JSON.stringify(config)}\n`));
  const values = linesOf(child.stdout);
  let ended = false;
  const end = child.status.then(() => ended = true);
  return {
    async next<T>() {
      const line = await values.next();
      if (line.done) throw new Error(`${script} ended early`);
      return JSON.parse(line.value) as T;
    },
    stop: () => input.close(),
    async close() {
      if (!ended) child.kill("SIGKILL");
      await values.return(undefined);
      await input.close().catch(() => {});
      await end;
    },
  };
}

/** The other side: what to do, and when the bench asks to stop. */
export async function takeOrders<T>(): Promise<{ config: T; stopped: Promise<void> }> {
  const lines = linesOf(Deno.stdin.readable);
  const first = await lines.next();
  if (first.done) throw new Error("no line on standard input says what to do");
  return { config: JSON.parse(first.value), stopped: lines.next().then(() => {}) };
}

async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
