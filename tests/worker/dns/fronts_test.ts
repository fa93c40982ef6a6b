import { assert, assertEquals } from "@std/assert";
import type { Endpoint, ServiceEndpoints } from "../../../kv/schema/endpoint.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import { createFronts, type Fronts } from "../../../worker/dns/fronts.ts";
import type { Opened } from "../../../worker/dns/virtual.ts";
import { idOf } from "../../support/ids.ts";
import { endpoint, service, tcp } from "./support.ts";

/** Says its name to whoever connects. */
function backend(name: string): { port: number; close(): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const connection of listener) {
      await connection.write(new TextEncoder().encode(name)).catch(() => {});
      connection.close();
    }
  })();
  return { port: listener.addr.port, close: () => listener.close() };
}

async function said(hostname: string, port: number): Promise<string> {
  using connection = await Deno.connect({ hostname, port });
  return await new Response(connection.readable).text();
}

async function withFronts(
  body: (fronts: Fronts, names: (...all: string[]) => Endpoint[], port: number) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const fronts = createFronts({ nodeId: idOf(1), clock: systemClock, log: () => {} });
  const running = fronts.run(stop.signal);
  const backends: { close(): void }[] = [];
  // The fronts listen on one number, which is nobody else's.
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const names = (...all: string[]) =>
    all.map((name, i) => {
      const one = backend(name);
      backends.push(one);
      const ports = [{ target: port, protocol: "tcp" as const, port: one.port }];
      return endpoint(i + 1, { address: "127.0.0.1", ports });
    });
  try {
    await body(fronts, names, port);
  } finally {
    stop.abort();
    await running;
    for (const one of backends) one.close();
  }
}

const tableOf = (...all: ServiceEndpoints[]) => ({
  services: new Map(all.map((one) => [one.id, one])),
});

function close(opened: Opened): Promise<void> {
  assert(opened.ok, JSON.stringify(opened));
  return opened.close();
}

Deno.test("each address leads to its service, or to one task of it, as the table says now", async () => {
  await withFronts(async (fronts, names, port) => {
    const [a, b] = [names("a1", "a2"), names("b1")];
    const api = service(1, "api", { ports: [tcp(port)], endpoints: a });
    const web = service(2, "web", { ports: [tcp(port)], endpoints: b });
    fronts.update(tableOf(api, web));
    const at = { target: port, protocol: "tcp" as const };
    const open = (address: string, serviceId: string, taskId?: string) =>
      fronts.open({ address, port: at, serviceId, ...(taskId ? { taskId } : {}) });
    const all = await Promise.all([
      open("127.0.1.1", api.id),
      open("127.0.1.2", web.id),
      open("127.0.1.3", api.id, a[1]?.taskId),
    ]);
    const seen = [await said("127.0.1.1", port), await said("127.0.1.1", port)].sort();
    assertEquals(seen, ["a1", "a2"]);
    assertEquals(await said("127.0.1.2", port), "b1");
    assertEquals(await said("127.0.1.3", port), "a2");
    fronts.update(tableOf({ ...api, endpoints: a.slice(1) }, web));
    assertEquals([await said("127.0.1.1", port), await said("127.0.1.1", port)], ["a2", "a2"]);
    for (const one of all) await close(one);
  });
});

Deno.test("an address shares its port with the same port on all addresses, and comes first", async () => {
  await withFronts(async (fronts, names, port) => {
    const api = service(1, "api", { ports: [tcp(port)], endpoints: names("api") });
    fronts.update(tableOf(api));
    const everywhere = Deno.listen({ hostname: "::", port, reusePort: true });
    void (async () => {
      for await (const connection of everywhere) {
        await connection.write(new TextEncoder().encode("published"));
        connection.close();
      }
    })();
    const front = { port: { target: port, protocol: "tcp" as const }, serviceId: api.id };
    const opened = await fronts.open({ ...front, address: "127.0.1.1" });
    assertEquals(await said("127.0.1.1", port), "api");
    assertEquals(await said("127.0.1.2", port), "published");
    await close(opened);
    everywhere.close();
  });
});

Deno.test("an address is claimed once, also by other agents, and only if it is the machine's", async () => {
  await withFronts(async (fronts) => {
    const other = createFronts({ nodeId: idOf(2), clock: systemClock, log: () => {} });
    const mine = await fronts.claim("127.0.1.9");
    const theirs = await other.claim("127.0.1.9");
    assertEquals(!theirs.ok && theirs.why, "taken");
    await close(mine);
    await close(await other.claim("127.0.1.9"));
    const elsewhere = await fronts.claim("192.0.2.1");
    assertEquals(!elsewhere.ok && elsewhere.why, "elsewhere");
    const stop = new AbortController();
    stop.abort();
    await other.run(stop.signal);
  });
});

Deno.test("a program that has the port keeps it", async () => {
  await withFronts(async (fronts, names, port) => {
    const api = service(1, "api", { ports: [tcp(port)], endpoints: names("api") });
    fronts.update(tableOf(api));
    const program = Deno.listen({ hostname: "0.0.0.0", port });
    const front = { port: { target: port, protocol: "tcp" as const }, serviceId: api.id };
    const opened = await fronts.open({ ...front, address: "127.0.1.1" });
    assertEquals(!opened.ok && opened.why, "taken");
    program.close();
  });
});
