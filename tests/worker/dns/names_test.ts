import { assert, assertEquals } from "@std/assert";
import { createNames, type NamesDeps } from "../../../worker/dns/names.ts";
import type { ResponderOptions } from "../../../worker/dns/responder.ts";
import { createZone } from "../../../worker/dns/zone.ts";
import type { ProjectNetwork, ProjectNetworks } from "../../../worker/runtime.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import { idOf } from "../../support/ids.ts";
import { ask, endpoint, service, tcp, told } from "./support.ts";

const nodeId = idOf(1000);

const network = (project: string, gateway: string): ProjectNetwork => ({
  ...{ id: project, name: `berth-${project}`, project, subnet: `${gateway}/24`, gateway },
});

/** A node with these networks, whose responders are in `listening` by address. */
function node(some: Partial<NamesDeps> = {}) {
  const there = new Map<string, ProjectNetwork>();
  const unused = new Set<string>();
  const listening = new Map<string, ResponderOptions["answer"]>();
  const refused = new Set<string>();
  const graces: (number | undefined)[] = [];
  const neighbours = new Map<string, string>();
  const networks: ProjectNetworks = {
    list: () => Promise.resolve({ ok: true, value: [...there.values()] }),
    prune(_, { graceMs } = {}) {
      graces.push(graceMs);
      const gone = [...unused].filter((project) => there.delete(project));
      return Promise.resolve({ ok: true, value: gone });
    },
    addresses: () => Promise.resolve({ ok: true, value: neighbours }),
    onUse() {},
    takeAddresses: () => Promise.resolve({ ok: true, value: undefined }),
  };
  const clock = createFakeClock();
  const names = createNames({
    ...{ networks, nodeId, clock, random: () => 0, log: () => {} },
    zone: () => createZone([]),
    virtual: { of: () => Promise.resolve(undefined) },
    forwarder: { forward: () => Promise.resolve(undefined) },
    servers: () => Promise.resolve(["127.0.0.53", "192.0.2.53"]),
    listen({ address, answer }) {
      if (refused.has(address)) return Promise.resolve({ ok: false, message: "no" });
      assert(!listening.has(address), `${address} is bound twice`);
      listening.set(address, answer);
      const close = () => Promise.resolve(void listening.delete(address));
      return Promise.resolve({ ok: true, responder: { close } });
    },
    ...some,
  });
  return { names, there, unused, listening, refused, graces, neighbours, clock };
}

Deno.test("a network's gateway answers before a container is there, and others for want of it", async () => {
  const { names, listening } = node();
  const shop = network("shop", "10.213.1.1");
  const all = await Promise.all([names.serve(shop), names.serve(shop)]);
  assertEquals(all[0], ["10.213.1.1", "192.0.2.53"]);
  assertEquals([...listening.keys()], ["10.213.1.1"]);
});

Deno.test("where none can listen the containers are told so; later ones may have it", async () => {
  const { names, refused } = node();
  const shop = network("shop", "10.213.1.1");
  refused.add("10.213.1.1");
  assertEquals(await names.serve(shop), undefined);
  refused.clear();
  assertEquals((await names.serve(shop))?.[0], "10.213.1.1");
});

Deno.test("networks are served that were there before, and come, move and go behind its back", async () => {
  const { names, there, unused, listening, graces, clock } = node();
  const stop = new AbortController();
  there.set("shop", network("shop", "10.213.1.1"));
  const running = names.run(stop.signal);
  await clock.advance(0);
  assertEquals([...listening.keys()], ["10.213.1.1"]);
  there.set("shop", network("shop", "10.213.2.1"));
  there.set("bank", network("bank", "10.213.3.1"));
  await clock.advance(20_000);
  assertEquals([...listening.keys()].sort(), ["10.213.2.1", "10.213.3.1"]);
  unused.add("shop");
  await clock.advance(20_000);
  assertEquals([...listening.keys()], ["10.213.3.1"]);
  stop.abort();
  await clock.until(running);
  assertEquals([...listening.keys()], []);
  assertEquals(graces, [undefined, undefined, undefined, 0], "what is unused goes at the end");
});

Deno.test("neighbours stand for a service without ports, and for one without an address", async () => {
  const tasks = [
    endpoint(1, { nodeId }),
    endpoint(2, { nodeId, state: "starting" }),
    endpoint(3, { nodeId: idOf(7) }),
  ];
  const services = [
    service(11, "quiet.shop", { ports: [], endpoints: tasks }),
    service(12, "api.shop", { ports: [tcp(80)], endpoints: tasks }),
    service(13, "api.bank", { ports: [tcp(80)], endpoints: tasks }),
  ];
  for (const virtual of [undefined, "10.213.200.1"]) {
    const { names, listening, neighbours } = node({
      zone: () => createZone(services),
      virtual: { of: ({ ports }) => Promise.resolve(ports.length > 0 ? virtual : undefined) },
    });
    for (const n of [1, 2]) neighbours.set(endpoint(n).taskId, `10.213.1.1${n}`);
    await names.serve(network("shop", "10.213.1.1"));
    const look = async (name: string) =>
      told(await listening.get("10.213.1.1")?.(ask(name), "udp"));
    assertEquals(await look("quiet"), "NOERROR, 10.213.1.11");
    assertEquals(await look("api"), `NOERROR, ${virtual ?? "10.213.1.11"}`);
    assertEquals(await look("api.bank"), virtual ? `NOERROR, ${virtual}` : "NOERROR");
    const others = virtual ? [virtual] : [];
    assertEquals(await look("tasks.api"), ["NOERROR", "10.213.1.11", ...others].join(", "));
  }
});
