import { assertEquals, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../../kv/schema/time.ts";
import { withBalancer } from "../../support/balancing.ts";
import { eventually } from "../../support/eventually.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import {
  ask,
  echoServer,
  freePort,
  namedServer,
  readSome,
  send,
  tableOf,
} from "../../support/traffic.ts";

Deno.test("a port that another program has is told once, tried again, and bound when it is free", async () => {
  const clock = createFakeClock();
  await withBalancer(async (t) => {
    await using server = namedServer("web");
    const stranger = Deno.listen({ hostname: "127.0.0.1", port: t.port });
    const bound = t.use({ places: [{ task: 1, port: server.port }] });
    await eventually(() => t.problems.length === 1);
    assertEquals(t.problems[0]?.map((p) => [p.protocol, p.published]), [["tcp", t.port]]);
    assertStringIncludes(t.problems[0]?.[0]?.reason ?? "", "another program");
    for (let i = 0; i < 3; i++) await clock.advance(6_000);
    assertEquals(t.log.filter((line) => line.level === "warn").length, 1);
    stranger.close();
    await clock.advance(6_000);
    await bound;
    assertEquals(await ask(t.port), "web");
    assertEquals(t.problems.at(-1), []);
  }, { clock });
});

Deno.test("other ports are bound though one is taken", () =>
  withBalancer(async (t) => {
    await using server = namedServer("api");
    using _stranger = Deno.listen({ hostname: "127.0.0.1", port: t.port });
    const other = freePort();
    t.balancer.update(tableOf(
      { service: 1, published: t.port, places: [] },
      { service: 2, name: "api", published: other, places: [{ task: 2, port: server.port }] },
    ));
    await eventually(() => t.balancer.bound().includes(`tcp/${other}`));
    assertEquals(await ask(other), "api");
    await eventually(() => t.problems.length === 1);
  }));

Deno.test("a port may go to another service, and change its settings, without being closed", () =>
  withBalancer(async (t) => {
    await using web = echoServer("web");
    await using api = echoServer("api");
    const first = { service: 1, places: [{ task: 1, port: web.port }] };
    await t.use(first);
    using held = await Deno.connect({ hostname: "127.0.0.1", port: t.port });
    assertEquals(await readSome(held), "web");
    await t.use({ ...first, balance: { policy: "round-robin", maxConnections: 9 } });
    await t.use({ ...first, published: freePort() }, {
      service: 2,
      places: [{ task: 2, port: api.port }],
    });
    using next = await Deno.connect({ hostname: "127.0.0.1", port: t.port });
    assertEquals(await readSome(next), "api");
    await send(held, "x");
    assertEquals(await readSome(held), "x");
    const opened = t.log.filter((line) => line.message.startsWith("listening"));
    assertEquals(opened.length, 2);
  }));

Deno.test("a port that is no longer published is closed; its connections live as long as their tasks", () =>
  withBalancer(async (t) => {
    await using web = echoServer("web");
    const places = [{ task: 1, port: web.port }];
    await t.use({ places });
    using held = await Deno.connect({ hostname: "127.0.0.1", port: t.port });
    assertEquals(await readSome(held), "web");
    await t.use({ places, published: freePort() });
    const refused = await Deno.connect({ hostname: "127.0.0.1", port: t.port }).then(
      () => false,
      () => true,
    );
    assertEquals(refused, true);
    await send(held, "x");
    assertEquals(await readSome(held), "x");
    await t.use({ places: [], published: freePort() });
    assertEquals(await readSome(held).catch(() => undefined), undefined);
  }));

Deno.test("stopping ends every connection and frees every port", async () => {
  let port = 0;
  await using web = echoServer("web");
  let held: Deno.Conn | undefined;
  await withBalancer(async (t) => {
    port = t.port;
    await t.use({ places: [{ task: 1, port: web.port }] });
    held = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(await readSome(held), "web");
  }, { clock: systemClock });
  assertEquals(held && await readSome(held).catch(() => undefined), undefined);
  held?.close();
  using _again = Deno.listen({ hostname: "127.0.0.1", port });
});

Deno.test("a port with an address is listened to there alone, and moves with it", () =>
  withBalancer(async (t) => {
    await using server = namedServer("web");
    const web = { published: t.port, places: [{ task: 1, port: server.port }] };
    const reaches = async (hostname: string) => {
      try {
        return await ask(t.port, { hostname });
      } catch {
        return "nobody";
      }
    };
    t.balancer.update(tableOf({ ...web, hostIp: "127.0.0.2" }));
    await eventually(() => t.balancer.bound().join() === `tcp/${t.port} on 127.0.0.2`);
    assertEquals([await reaches("127.0.0.1"), await reaches("127.0.0.2")], ["nobody", "web"]);
    t.balancer.update(tableOf(web));
    await eventually(() => t.balancer.bound().join() === `tcp/${t.port}`);
    assertEquals([await reaches("127.0.0.1"), await reaches("127.0.0.2")], ["web", "nobody"]);
    t.balancer.update(tableOf({ ...web, hostIp: "192.0.2.1" }));
    await eventually(() =>
      t.problems.at(-1)?.[0]?.reason === "this machine does not have the address"
    );
  }));
