import { assert, assertEquals } from "@std/assert";
import { berth } from "../support/berth.ts";
import { CADDY_IMAGE, caddyTest, ensureCaddyImage } from "../support/caddy.ts";
import { keepAliveCommand } from "../support/keepalive_server.ts";
import { inRig, type Rig, type SpecInput } from "../support/rig.ts";
import { freePort } from "../support/traffic.ts";
import { missingWrk, startWrk } from "../support/wrk.ts";

/** Longer than a rollout takes; it is ended before. */
const AT_MOST_S = 120;

function web(page: string, published: number): SpecInput {
  return {
    name: "web",
    mode: { type: "replicated", replicas: 2 },
    template: {
      command: keepAliveCommand(page),
      ports: [{ target: 80, published }],
      readiness: { probe: { type: "tcp", port: 80 }, startIntervalMs: 100 },
      stopGraceMs: 3_000,
    },
    routes: [{ host: "test", tls: "plain" }],
    update: { monitorMs: 200, drainMs: 1_000 },
  };
}

async function pageAt(port: number): Promise<string> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["-s", "--max-time", "5", "-H", "Host: test", `http://127.0.0.1:${port}/`],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** For a moment what was there before may answer as well: until it does so no more. */
async function serves(rig: Rig, port: number, page: string): Promise<void> {
  await rig.until(`${page} at port ${port}`, async () => {
    for (let i = 0; i < 20; i++) if (await pageAt(port) !== page) return false;
    return true;
  });
}

caddyTest(
  "a rolling update under wrk fails no request and resets no connection, by published port and ingress",
  async (engine) => {
    await ensureCaddyImage(engine);
    await inRig(engine, { workers: ["n1"] }, async (rig) => {
      const [published, http, https] = [freePort(), freePort(), freePort()];
      await berth(
        rig.server,
        ...["ingress", "enable", "--nodes", "n1", "--image", CADDY_IMAGE],
        ...["--http-port", String(http), "--https-port", String(https)],
      );
      await rig.run(web("one", published));
      for (const port of [published, http]) await serves(rig, port, "one");
      const loads = [published, http].flatMap((port) => [
        { port, load: "requests", clients: 4 } as const,
        { port, load: "connections", clients: 1 } as const,
      ]).map(({ port, load, clients }) => ({
        ...{ port, load },
        ...startWrk(port, load, { seconds: AT_MOST_S, clients, host: "test" }),
      }));
      try {
        await rig.put(web("two", published));
        await rig.until("the rollout", async () => {
          const { rollout, phase } = await rig.view("web");
          return rollout?.revision === 2 && rollout.state === "done" && phase === "running";
        });
        for (const port of [published, http]) await serves(rig, port, "two");
      } finally {
        for (const { signal } of loads) signal("SIGINT");
      }
      const results = await Promise.all(loads.map(({ done }) => done));
      for (const [i, { errors, requests, text }] of results.entries()) {
        const said = `${loads[i]?.load} at ${
          loads[i]?.port === http ? "ingress" : "port"
        }: ${text}`;
        assertEquals(errors, 0, said);
        assert(requests > 100, said);
      }
      await berth(rig.server, "ingress", "disable");
    });
  },
  { unless: missingWrk },
);
