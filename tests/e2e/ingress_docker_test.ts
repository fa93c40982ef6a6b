import { assertEquals, assertStringIncludes } from "@std/assert";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { INGRESS } from "../../kv/schema/ingress.ts";
import type { RouteInput } from "../../kv/schema/route.ts";
import { okValue } from "../support/api.ts";
import { berth } from "../support/berth.ts";
import { CADDY_IMAGE, caddyTest, ensureCaddyImage } from "../support/caddy.ts";
import { certificateFor } from "../support/certificates.ts";
import { steadyClient } from "../support/http_clients.ts";
import { keepAliveCommand } from "../support/keepalive_server.ts";
import { inRig, type SpecInput } from "../support/rig.ts";
import { freePort } from "../support/traffic.ts";

const CERTIFIED: RouteInput = { host: "tls.test", tls: { certificate: "pem" } };
const PLAIN: RouteInput = { host: "test", tls: "plain" };

function web(page: string, routes: RouteInput[]): SpecInput {
  return {
    name: "web",
    mode: { type: "replicated", replicas: 2 },
    template: {
      command: keepAliveCommand(page),
      ports: [{ target: 80 }],
      readiness: { probe: { type: "tcp", port: 80 }, startIntervalMs: 100 },
      stopGraceMs: 3_000,
    },
    routes,
    update: { monitorMs: 200, order: "start-first", parallelism: 0, drainMs: 1_000 },
  };
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args }).output();
  return new TextDecoder().decode(stdout);
}

const status = async (port: number, host: string) =>
  await output("curl", [
    ...["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5"],
    ...["-H", `Host: ${host}`, `http://127.0.0.1:${port}/`],
  ]);

/** The answer over HTTPS by who trusts this certificate alone. */
async function trusting(port: number, ca: string): Promise<string> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, ca);
    return await output("curl", [
      ...["-s", "-w", " over %{http_version}", "--http2", "--cacert", file, "--max-time", "5"],
      ...["--resolve", `tls.test:${port}:127.0.0.1`, `https://tls.test:${port}/`],
    ]);
  } finally {
    await Deno.remove(file);
  }
}

caddyTest(
  "routes reach tasks through the ingress: under changes, rollouts, rotations, and without the server",
  async (engine) => {
    await ensureCaddyImage(engine);
    await inRig(engine, { workers: ["n1"] }, async (rig) => {
      const [http, https] = [freePort(), freePort()];
      const { client } = rig.server;
      const [one, two] = [await certificateFor("tls.test"), await certificateFor("tls.test")];
      const data = (pem: typeof one) => encodeBase64(new TextEncoder().encode(pem.chain + pem.key));
      okValue(await client.createSecret({ name: "pem", project: rig.project, data: data(one) }));
      await berth(
        rig.server,
        ...["ingress", "enable", "--nodes", "n1", "--image", CADDY_IMAGE, "--acme-ca", "internal"],
        ...["--http-port", String(http), "--https-port", String(https)],
      );
      await rig.run(web("one", [PLAIN, CERTIFIED]));
      const clients = await (async () => {
        await rig.until(
          "both tasks to be ready",
          async () => (await rig.view("web")).counts.ready === 2,
        );
        // For a moment the proxy's servers of before may answer as well.
        await rig.until("the route to be live", async () => {
          for (let i = 0; i < 25; i++) if (await status(http, "test") !== "200") return false;
          return true;
        });
        const stop = new AbortController();
        const all = [true, true, true, false, false].map((keepAlive) =>
          steadyClient({ port: http, keepAlive, signal: stop.signal })
        );
        try {
          const before = await rig.view("web");
          await rig.put(web("one", [PLAIN, CERTIFIED, { host: "more.test", tls: "plain" }]));
          await rig.until("the new route", async () => await status(http, "more.test") === "200");
          assertEquals((await rig.view("web")).revision, before.revision);
          await rig.put(web("two", [PLAIN, CERTIFIED]));
          await rig.until("the rollout", async () => {
            const { rollout, phase } = await rig.view("web");
            return rollout?.revision === 2 && rollout.state === "done" && phase === "running";
          });
          await rig.until("the new page", () => all.every(({ pages }) => pages.has("two")));
        } finally {
          stop.abort();
          await Promise.all(all.map(({ ended }) => ended));
        }
        return all;
      })();
      assertEquals(clients.flatMap(({ lost }) => lost), []);
      assertEquals([...new Set(clients.flatMap(({ pages }) => [...pages.keys()]))].sort(), [
        "one",
        "two",
      ]);
      await rig.until(
        "the route to be gone",
        async () => await status(http, "more.test") === "404",
      );

      assertEquals(await trusting(https, one.chain), "two\n over 2");
      okValue(await client.rotateSecret("pem", { data: data(two) }, rig.project));
      await rig.until(
        "the new certificate",
        async () => await trusting(https, two.chain) === "two\n over 2",
      );
      assertStringIncludes(await berth(rig.server, "routes"), "tls.test");
      assertStringIncludes(await berth(rig.server, "ingress", "status"), "running");

      const { id: nodeId } = okValue(await client.getNode("n1"));
      await rig.killServer();
      const own = [`label=berth.node=${nodeId}`, `label=berth.service=${INGRESS.service}`];
      const filters = own.flatMap((filter) => ["--filter", filter]);
      const proxy = (await output("docker", ["ps", "-q", ...filters])).trim();
      await output("docker", ["kill", proxy]);
      await rig.until(
        "the restarted proxy",
        async () => await trusting(https, two.chain) === "two\n over 2",
      );
      await rig.reviveServer();
      await berth(rig.server, "ingress", "disable");
      await rig.until("the proxy to be gone", async () => {
        const gone = await rig.server.client.getService(INGRESS.service, INGRESS.project);
        return !gone.ok && gone.error.kind === "problem" && gone.error.problem.status === 404;
      });
      okValue(await rig.server.client.deleteVolume("data", { project: INGRESS.project }));
    });
  },
);
