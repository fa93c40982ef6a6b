import { assertEquals, assertStringIncludes } from "@std/assert";
import type { ServiceEndpoints } from "../../../kv/schema/endpoint.ts";
import { Route } from "../../../kv/schema/route.ts";
import type { UnboundPort } from "../../../kv/schema/node.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import { createIngress } from "../../../worker/ingress/ingress.ts";
import type { Loaded } from "../../../worker/ingress/loaded.ts";
import type { Outcome } from "../../../worker/runtime.ts";
import { eventually } from "../../support/eventually.ts";
import { idOf } from "../../support/ids.ts";
import { serviceOf } from "../../support/traffic.ts";

/** As Caddy says it. */
const TAKEN =
  'caddy responded with error: HTTP 400: {"error":"loading new config: http app module: ' +
  'start: listening on :8080: listen tcp :8080: bind: address already in use"}';

const TOO_NEW = 'json: unknown field "stream_close_delay"';
const DONE = { ok: true as const, value: undefined };
const refused = (message: string): Outcome => ({ ok: false, kind: "refused", message });

/** Feeds it tables of services until the body is done; `load` is what the proxy says to each. */
async function running(
  load: (config: string) => Outcome,
  body: (
    at: { serve(...services: ServiceEndpoints[]): void; said: UnboundPort[][]; warnings: string[] },
  ) => Promise<void>,
): Promise<void> {
  const said: UnboundPort[][] = [];
  const warnings: string[] = [];
  const loaded = new Map<string, Loaded>();
  const stop = new AbortController();
  const ingress = createIngress({
    admin: { load: (_task, config) => Promise.resolve(load(JSON.stringify(config))) },
    migrateConnections: () => Promise.resolve(DONE),
    certificates: { refresh: () => Promise.resolve(true), get: () => undefined },
    clock: systemClock,
    random: () => 0,
    log: (level, message) => void (level === "warn" && warnings.push(message)),
    store: {
      load: () => Promise.resolve(),
      get: (run) => loaded.get(run),
      put: (run, now) => Promise.resolve(void loaded.set(run, now)),
    },
    tasks: () => [{ taskId: idOf(1), attempt: 1, settings: { httpPort: 8080, httpsPort: 8443 } }],
    onProblems: (ports) => void said.push(ports),
  });
  const ended = ingress.run(stop.signal);
  let version = 0;
  const serve = (...services: ServiceEndpoints[]) =>
    ingress.update({ version: ++version, services: new Map(services.map((s) => [s.id, s])) });
  try {
    await body({ serve, said, warnings });
  } finally {
    stop.abort();
    await ended;
  }
}

const web = (host: string): ServiceEndpoints => ({
  ...serviceOf({ places: [{ task: 1, port: 4001 }] }),
  routes: [Route.parse({ host, tls: "plain" })],
});

Deno.test("an older proxy is told only what it knows, from then on, and people what they lack", async () => {
  const taken: string[] = [];
  let refusals = 0;
  const load = (config: string) => {
    if (/stream_close_delay/.test(config)) {
      refusals++;
      return refused(TOO_NEW);
    }
    taken.push(config);
    return DONE;
  };
  await running(load, async ({ serve, warnings }) => {
    serve(web("a.test"));
    await eventually(() => taken.at(-1)?.includes("a.test"));
    serve(web("b.test"));
    await eventually(() => taken.at(-1)?.includes("b.test"));
    assertEquals([refusals, warnings.length], [1, 1]);
    assertStringIncludes(warnings[0] ?? "", "cuts WebSockets");
  });
});

Deno.test("a port that the proxy cannot listen on is told once, and no more when it can", async () => {
  let loads = 0;
  let answer = refused(TAKEN);
  const load = () => {
    loads++;
    return answer;
  };
  await running(load, async ({ serve, said }) => {
    serve();
    await eventually(() => loads > 2);
    answer = DONE;
    await eventually(() => said.length === 2);
    const reason = "another program of this machine has it";
    assertEquals(said, [[{ protocol: "tcp", published: 8080, reason }], []]);
  });
});
