import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../kv/schema/time.ts";
import { berth } from "../support/berth.ts";
import { CADDY_IMAGE, ensureCaddyImage, missingCaddy } from "../support/caddy.ts";
import { eventually } from "../support/eventually.ts";
import { type Host, hostsTest } from "../support/hosts.ts";
import { type Run, serving, SERVING_PORT, settled, within } from "../support/hosts_services.ts";
import { mostAtOnceOver, type Observer, watchContainers } from "../support/observer.ts";

const TTL_MS = 4000;
const PUBLISHED = 18080;
const INGRESS_PORT = 18081;
/** A client that waits no longer. */
const PATIENCE_S = 2;

interface Request {
  beganMs: number;
  endedMs: number;
  way: string;
  /** The page, or why there is none. */
  said: string;
}

/** What asks over and over again, and notes what it was told. */
function asking(way: string, ask: () => Promise<string>, signal: AbortSignal) {
  const requests: Request[] = [];
  const run = async () => {
    while (!signal.aborted) {
      const beganMs = performance.now();
      const said = await ask().catch((error) => `failed: ${error}`);
      requests.push({ beganMs, endedMs: performance.now(), way, said });
      await systemClock.sleep(20, signal);
    }
  };
  return { requests, ended: run() };
}

async function fetched(url: string, host?: string): Promise<string> {
  // `fetch` does not let the caller name the host.
  const args = ["-sS", "--max-time", String(PATIENCE_S), ...(host ? ["-H", `Host: ${host}`] : [])];
  const { code, stdout, stderr } = await new Deno.Command("curl", { args: [...args, url] })
    .output();
  const text = new TextDecoder().decode(code === 0 ? stdout : stderr).trim();
  return code === 0 ? text : `failed: ${text}`;
}

function waysTo(host: Host, run: Run): Record<string, () => Promise<string>> {
  return {
    published: () => fetched(`http://${host.address}:${PUBLISHED}/`),
    ingress: () => fetched(`http://${host.address}:${INGRESS_PORT}/`, "shop.test"),
    async name() {
      const patient = ["busybox", "timeout", String(PATIENCE_S)];
      const url = `http://api:${SERVING_PORT}`;
      const { code, said } = await run(...patient, "wget", "-q", "-O", "-", url);
      return code === 0 ? said.trim() : `failed: ${said.trim()}`;
    },
  };
}

const isPage = (said: string) => said.startsWith("api.shop ");

const count = (observers: readonly Observer[]) =>
  observers.reduce((sum, one) => sum + one.running(), 0);

hostsTest(
  "a host that is cut off costs no request after its TTL and a second, by port, name and ingress; healed, nothing is doubled",
  { count: 3, nodeTtlMs: TTL_MS, unless: missingCaddy },
  async (bed) => {
    const { server, hosts } = bed;
    const [h1, , h3] = hosts;
    assert(h1 && h3);
    await ensureCaddyImage(h3.engine);
    await berth(
      server,
      ...["ingress", "enable", "--nodes", "h3", "--image", CADDY_IMAGE],
      ...["--http-port", String(INGRESS_PORT), "--https-port", String(INGRESS_PORT + 1)],
    );
    await serving(bed, "client", { where: ["== h3"] });
    await serving(bed, "api", {
      replicas: 2,
      where: ["!= h3"],
      ports: [{ target: SERVING_PORT, published: PUBLISHED }],
      routes: [{ host: "shop.test", tls: "plain" }],
    });
    const observers = await Promise.all(hosts.map(({ engine }) => watchContainers(engine, "api")));
    const stop = new AbortController();
    try {
      await within(bed, "shop/client", async (run) => {
        const ways = Object.entries(waysTo(h3, run));
        for (const [way, ask] of ways) {
          const said = new Set<string>();
          await eventually(async () => {
            said.add(await ask());
            return [...said].filter(isPage).length === 2;
          }, { timeoutMs: 30_000, what: () => `both tasks to answer by ${way}: ${[...said]}` });
        }
        const clients = ways.map(([way, ask]) => asking(way, ask, stop.signal));
        const tenMore = async () => {
          const before = clients.map(({ requests }) => requests.length);
          await eventually(
            () => clients.every(({ requests }, i) => requests.length >= (before[i] ?? 0) + 10),
            { timeoutMs: 30_000, what: "ten more requests each way" },
          );
        };
        let cutMs = 0;
        let healMs = 0;
        try {
          await tenMore();
          cutMs = performance.now();
          await h1.cut();
          await settled(server, "shop/api", 2, (node) => node !== "h1");
          await eventually(() => performance.now() > cutMs + TTL_MS + 1000, { timeoutMs: 20_000 });
          await tenMore();
          healMs = performance.now();
          await h1.heal();
          await eventually(() => count(observers) === 2, {
            timeoutMs: 30_000,
            what: "the superfluous container to go",
          });
          await settled(server, "shop/api", 2);
          await tenMore();
        } finally {
          stop.abort();
          await Promise.all(clients.map(({ ended }) => ended));
        }
        // What is under way at the cut, or begins within its time, may fail.
        const limitMs = cutMs + TTL_MS + 1000;
        const lost = clients.flatMap(({ requests }) => requests)
          .filter(({ said, beganMs, endedMs }) =>
            !isPage(said) && (endedMs < cutMs || beganMs > limitMs)
          );
        assertEquals(lost, [], `cut at ${cutMs} ms, healed at ${healMs} ms`);
        for (const observer of observers) await observer.settle();
        assertEquals(count(observers), 2);
        assertEquals(mostAtOnceOver(observers), 3, "the one that was cut off, and no more");
      });
    } finally {
      for (const observer of observers) await observer.close();
    }
  },
);
