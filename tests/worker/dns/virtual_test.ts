import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { ServiceEndpoints } from "../../../kv/schema/endpoint.ts";
import { parsePool } from "../../../worker/dns/pool.ts";
import { createVirtual, type Opened, type SavedAddresses } from "../../../worker/dns/virtual.ts";
import { createZone } from "../../../worker/dns/zone.ts";
import type { Outcome } from "../../../worker/runtime.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import { endpoint, service, tcp, udp } from "./support.ts";

/** A machine: which addresses are its own, and what is bound on it, by all agents. */
function machine() {
  const bound = new Set<string>();
  return { bound, routed: true, routes: 0, routeFails: false };
}
type Machine = ReturnType<typeof machine>;

function agent(on: Machine, saved: SavedAddresses = [], nodeId = "n1") {
  const pool = parsePool("10.213.0.0/16");
  assert(!("problem" in pool));
  const clock = createFakeClock();
  const disk = { saved };
  const bind = (at: string): Promise<Opened> => {
    if (!on.routed) return Promise.resolve({ ok: false, why: "elsewhere", message: at });
    if (on.bound.has(at)) return Promise.resolve({ ok: false, why: "taken", message: at });
    on.bound.add(at);
    const close = () => Promise.resolve(void on.bound.delete(at));
    return Promise.resolve({ ok: true, close });
  };
  const virtual = createVirtual({
    ...{ pool, nodeId, clock, log: () => {}, saved },
    claim: (address) => bind(address),
    open: ({ address, port }) => bind(`${address} ${port.protocol}/${port.target}`),
    route(): Promise<Outcome> {
      on.routes++;
      on.routed = !on.routeFails;
      return Promise.resolve(
        on.routeFails
          ? { ok: false, kind: "refused", message: "no" }
          : { ok: true, value: undefined },
      );
    },
    save: (addresses) => disk.saved = addresses,
  });
  const follow = (...services: ServiceEndpoints[]) => virtual.follow(createZone(services));
  return { virtual, clock, disk, follow };
}

const api = service(1, "api", { endpoints: [endpoint(11), endpoint(12)] });
const web = service(2, "web", { ports: [tcp(80), udp(53)] });

Deno.test("a service has an address of its own, with its ports open before it is told", async () => {
  const here = machine();
  const { virtual } = agent(here);
  const [a, b] = [await virtual.of(api), await virtual.of(web)];
  assert(a && b);
  assertNotEquals(a, b);
  assertEquals(
    [...here.bound].sort(),
    [a, `${a} tcp/8080`, b, `${b} tcp/80`, `${b} udp/53`].sort(),
  );
  assertEquals(await virtual.of(api), a);
  await virtual.close();
  assertEquals([...here.bound], []);
});

Deno.test("a task has one as well; a service without ports has none", async () => {
  const { virtual } = agent(machine());
  const all = [api, api, api].map((one, i) =>
    virtual.of(one, [, endpoint(11), endpoint(12)][i]?.taskId)
  );
  assertEquals(new Set(await Promise.all(all)).size, 3);
  assertEquals(await virtual.of(service(3, "quiet", { ports: [] })), undefined);
});

Deno.test("who asks at the same time gets the same address", async () => {
  const here = machine();
  const { virtual } = agent(here);
  const all = await Promise.all([virtual.of(api), virtual.of(api), virtual.of(api)]);
  assertEquals(new Set(all).size, 1);
  assertEquals(here.bound.size, 2);
});

Deno.test("the machine takes the addresses for its own when one is first needed, once", async () => {
  const here = Object.assign(machine(), { routed: false });
  const { virtual } = agent(here);
  const all = await Promise.all([virtual.of(api), virtual.of(web)]);
  assert(all.every((one) => one !== undefined));
  assertEquals(here.routes, 1);
});

Deno.test("a machine that cannot is asked again, but not at every name", async () => {
  const here = Object.assign(machine(), { routed: false, routeFails: true });
  const { virtual, clock } = agent(here);
  assertEquals(await virtual.of(api), undefined);
  assertEquals(await virtual.of(api), undefined);
  assertEquals(here.routes, 1);
  here.routeFails = false;
  await clock.advance(60_000);
  assert(await virtual.of(api));
});

Deno.test("agents of one machine never have the same address", async () => {
  const here = machine();
  const first = agent(here);
  const address = await first.virtual.of(api);
  const second = agent(here); // With the same node id, as nothing else makes them meet.
  const other = await second.virtual.of(api);
  assert(other !== undefined);
  assertNotEquals(other, address);
});

Deno.test("a name keeps its address over the agent's restart, and is open before anybody asks", async () => {
  const here = machine();
  const first = agent(here);
  const address = await first.virtual.of(api);
  const task = await first.virtual.of(api, endpoint(11).taskId);
  await first.virtual.close();
  // Under another node id a new address would be another one.
  const second = agent(here, first.disk.saved, "n2");
  await second.follow(api, web);
  assert(here.bound.has(`${address} tcp/8080`) && here.bound.has(`${task} tcp/8080`));
  assertEquals(await second.virtual.of(api), address);
});

Deno.test("what changes is followed: new ports open, old ones and what is gone are closed", async () => {
  const here = machine();
  const { virtual, follow, disk } = agent(here);
  const address = await virtual.of(api);
  await virtual.of(api, endpoint(11).taskId);
  await follow({ ...api, ports: [tcp(8080), tcp(9090)], endpoints: [endpoint(12)] });
  assertEquals(
    [...here.bound].sort(),
    [address, `${address} tcp/8080`, `${address} tcp/9090`].sort(),
  );
  await follow({ ...api, ports: [tcp(9090)] });
  assertEquals([...here.bound].sort(), [address, `${address} tcp/9090`].sort());
  assertEquals(disk.saved.length, 1);
  await follow();
  assertEquals([[...here.bound], disk.saved], [[], []]);
});
