import { assert, assertEquals } from "@std/assert";
import { hostsTest } from "../support/hosts.ts";
import { places, runService, settled } from "../support/hosts_services.ts";

hostsTest(
  "hosts join by addresses of their own; a service is spread over them, or kept to a network of theirs",
  { count: 3 },
  async ({ server, hosts }) => {
    const listed = await server.client.listNodes();
    assert(listed.ok);
    assertEquals(
      listed.value.items.map(({ name, address }) => `${name} ${address}`).sort(),
      hosts.map(({ name, address }) => `${name} ${address}`),
    );

    await runService(server, { name: "web", mode: { type: "replicated", replicas: 3 } });
    await settled(server, "web", 3);
    assertEquals(await places(server, "web"), ["h1", "h2", "h3"]);

    const [, second] = hosts;
    await runService(server, {
      name: "pinned",
      mode: { type: "replicated", replicas: 2 },
    }, { placement: { constraints: [`node.ip == ${second?.address}/32`] } });
    await settled(server, "pinned", 2);
    assertEquals(await places(server, "pinned"), ["h2", "h2"]);
  },
);
