/**
 * Clients that send requests without pause and hide nothing: no retry, no pool.
 *
 * @module
 */
import { systemClock } from "../../kv/schema/time.ts";
import { readSome, send } from "./traffic.ts";

export interface Steady {
  /** How many answers had each body. */
  pages: Map<string, number>;
  /** Requests that got no whole answer, and why. */
  lost: string[];
  ended: Promise<void>;
}

export interface SteadyOptions {
  port: number;
  keepAlive: boolean;
  signal: AbortSignal;
  /** Between two requests. */
  paceMs?: number;
}

/** Sends one request after the other until the signal aborts. */
export function steadyClient({ port, keepAlive, signal, paceMs = 5 }: SteadyOptions): Steady {
  const pages = new Map<string, number>();
  const lost: string[] = [];
  let conn: Deno.TcpConn | undefined;
  async function request(): Promise<void> {
    conn ??= await Deno.connect({ hostname: "127.0.0.1", port });
    const connection = keepAlive ? "" : "Connection: close\r\n";
    await send(conn, `GET / HTTP/1.1\r\nHost: test\r\n${connection}\r\n`);
    let answer = "";
    while (!isWhole(answer)) {
      const more = await readSome(conn);
      if (more === undefined) throw new Error(`hung up after ${JSON.stringify(answer)}`);
      answer += more;
    }
    const [head = "", page = ""] = answer.split("\r\n\r\n");
    pages.set(page.trim(), (pages.get(page.trim()) ?? 0) + 1);
    if (/connection: close/i.test(head)) leave();
  }
  function leave(): void {
    conn?.close();
    conn = undefined;
  }
  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await request();
      } catch (error) {
        lost.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
        leave();
      }
      await systemClock.sleep(paceMs, signal);
    }
    leave();
  }
  return { pages, lost, ended: run() };
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(answer)?.[1]);
  return end !== -1 && answer.length >= end + 4 + length;
}
