/**
 * The guard: a small process beside the agent that kills strict containers when the agent has not been
 * in touch with the control plane for too long. A frozen agent (SIGSTOP, a page-in that takes minutes)
 * kills nothing; the guard does, from outside.
 *
 * 1. It counts by its own clock, from a mark that it set before the poll that was answered: never from
 *    when it was told, because whoever tells may have been frozen in between.
 * 2. Past the deadline it kills what it covers again and again until it is told of a newer contact: a
 *    start that was under way may come late.
 * 3. Without its agent (end of input) it goes on to the deadline, and ends once nothing of what it covers
 *    runs; unless a later guard is named in the owner file: then that one is in charge.
 * 4. It holds a shared lock while it lives, so that an agent that starts can tell.
 * 5. It says nothing before it has reached the engine: a guard that cannot kill is none.
 *
 * Input, one JSON object a line: first {@link GuardSetup}, then {@link GuardMessage}. Output: the number
 * of each mark, and `c` with the number of each cover, once they are in effect. It imports next to
 * nothing, to stay small in memory.
 *
 * @module
 */
import { type Clock, systemClock } from "../kv/schema/time.ts";

/** Where the engine listens, as worker/docker/connect.ts found it. */
export type GuardTarget =
  | { kind: "socket"; path: string }
  | {
    kind: "tcp";
    host: string;
    port: number;
    tls?: { ca?: string; cert?: string; key?: string };
  };

export interface GuardSetup {
  target: GuardTarget;
  /** This guard's id; it is in charge while the owner file names it, or names nobody. */
  id: string;
  ownerPath: string;
  lockPath: string;
}

export type GuardMessage =
  | { mark: number }
  /** A poll that was sent after this mark was answered; kill at `killMs` after the mark. */
  | { confirm: number; killMs: number }
  /** The names of all containers to kill at the deadline. */
  | { cover: string[]; seq: number }
  | { bye: true };

const CHECK_MS = 200;
/** After this long past the deadline the kills become rarer. */
const EAGER_MS = 10_000;
const LAZY_MS = 2_000;
const CALL_MS = 2_000;
/** A container that does not run (409) or does not exist (404) is dead. */
const DEAD = [404, 409];

async function main(clock: Clock): Promise<void> {
  const lines = readLines(Deno.stdin.readable);
  const first = await lines.next();
  if (first.done) return;
  const setup = JSON.parse(first.value) as GuardSetup;
  using lock = await Deno.open(setup.lockPath, { create: true, write: true, mode: 0o600 });
  await lock.lock(false); // Invariant 4
  while (await statusOf(setup.target, "GET /_ping").catch(() => 0) !== 200) { // Invariant 5
    await clock.sleep(CHECK_MS);
  }
  const marks = new Map<number, number>();
  let covered: string[] = [];
  let deadlineMs = Infinity;
  let orphaned = false;
  let over = false;

  function handle(message: GuardMessage): void {
    if ("mark" in message) {
      marks.set(message.mark, clock.monoMs()); // Invariant 1
      say(String(message.mark));
    } else if ("confirm" in message) {
      const markedMs = marks.get(message.confirm);
      for (const mark of marks.keys()) if (mark < message.confirm) marks.delete(mark);
      if (markedMs !== undefined) deadlineMs = markedMs + message.killMs;
    } else if ("cover" in message) {
      covered = message.cover;
      say(`c${message.seq}`);
    } else over = true;
  }

  async function listen(): Promise<void> {
    for await (const line of lines) handle(JSON.parse(line) as GuardMessage);
    orphaned = true;
  }

  const listening = listen();
  while (!over) {
    const lateMs = clock.monoMs() - deadlineMs;
    if (orphaned && await succeeded(setup)) break; // Invariant 3
    if (lateMs >= 0) {
      const dead = await Promise.all(covered.map((name) => kill(setup.target, name)));
      if (orphaned && dead.every((one) => one)) break;
    } else if (orphaned && (covered.length === 0 || deadlineMs === Infinity)) break;
    const restMs = lateMs < 0
      ? Math.min(CHECK_MS, -lateMs)
      : lateMs < EAGER_MS
      ? CHECK_MS
      : LAZY_MS;
    await clock.sleep(Math.max(1, restMs));
  }
  if (orphaned) await listening;
}

/** A later guard is in charge. */
async function succeeded({ ownerPath, id }: GuardSetup): Promise<boolean> {
  try {
    const owner = (await Deno.readTextFile(ownerPath)).trim();
    return owner !== "" && owner !== id;
  } catch {
    return false;
  }
}

/** Kills one container; true when it is dead for sure. */
async function kill(target: GuardTarget, name: string): Promise<boolean> {
  const late = AbortSignal.timeout(CALL_MS);
  const timely = new Promise<false>((resolve) =>
    late.addEventListener("abort", () => resolve(false), { once: true })
  );
  // What fails, or takes too long, is tried again in the next round.
  return await Promise.race([ask(target, name).catch(() => false), timely]);
}

async function ask(target: GuardTarget, name: string): Promise<boolean> {
  return DEAD.includes(await statusOf(target, `POST /containers/${name}/kill`));
}

/** The engine's answer to one request. */
async function statusOf(target: GuardTarget, what: string): Promise<number> {
  using connection = await connect(target);
  const request = `${what} HTTP/1.0\r\nHost: engine\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const head = new Uint8Array(64);
  const size = await connection.read(head);
  const text = new TextDecoder().decode(head.subarray(0, size ?? 0));
  return Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1]);
}

async function connect(target: GuardTarget): Promise<Deno.Conn> {
  if (target.kind === "socket") {
    return await Deno.connect({ transport: "unix", path: target.path });
  }
  const { host: hostname, port, tls } = target;
  if (!tls) return await Deno.connect({ hostname, port });
  const ca = tls.ca === undefined ? {} : { caCerts: [tls.ca] };
  return tls.cert === undefined || tls.key === undefined
    ? await Deno.connectTls({ hostname, port, ...ca })
    : await Deno.connectTls({ hostname, port, ...ca, cert: tls.cert, key: tls.key });
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

function say(line: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch {
    // Nobody listens any more: the end of the input says so, too.
  }
}

if (import.meta.main) {
  await main(systemClock);
  Deno.exit(0);
}
