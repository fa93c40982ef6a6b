import { assertEquals } from "@std/assert";
import type { UnboundPort } from "../../../kv/schema/node.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import { createIngress } from "../../../worker/ingress/ingress.ts";
import type { Outcome } from "../../../worker/runtime.ts";
import { eventually } from "../../support/eventually.ts";
import { idOf } from "../../support/ids.ts";

/** As Caddy says it. */
const TAKEN =
  'caddy responded with error: HTTP 400: {"error":"loading new config: http app module: ' +
  'start: listening on :8080: listen tcp :8080: bind: address already in use"}';

Deno.test("a port that the proxy cannot listen on is told once, and no more when it can", async () => {
  const said: UnboundPort[][] = [];
  let loads = 0;
  let answer: Outcome = { ok: false, kind: "refused", message: TAKEN };
  const stop = new AbortController();
  const done = { ok: true as const, value: undefined };
  const ingress = createIngress({
    admin: {
      load() {
        loads++;
        return Promise.resolve(answer);
      },
    },
    migrateConnections: () => Promise.resolve(done),
    certificates: { refresh: () => Promise.resolve(true), get: () => undefined },
    clock: systemClock,
    random: () => 0,
    log: () => {},
    store: { load: () => Promise.resolve(), get: () => undefined, put: () => Promise.resolve() },
    tasks: () => [{ taskId: idOf(1), attempt: 1, settings: { httpPort: 8080, httpsPort: 8443 } }],
    onProblems: (ports) => void said.push(ports),
  });
  const running = ingress.run(stop.signal);
  ingress.update({ version: 1, services: new Map() });
  await eventually(() => loads > 2);
  answer = done;
  await eventually(() => said.length === 2);
  stop.abort();
  await running;
  const reason = "another program of this machine has it";
  assertEquals(said, [[{ protocol: "tcp", published: 8080, reason }], []]);
});
