import { assert, assertEquals } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { type Host, type Hosts, hostsTest } from "../support/hosts.ts";
import { places, runService, settled } from "../support/hosts_services.ts";
import { mostAtOnceOver, type Observer, watchContainers } from "../support/observer.ts";

const TTL_MS = 4000;
const bed = { count: 3, nodeTtlMs: TTL_MS };

async function watched(
  hosts: readonly Host[],
  service: string,
  body: (observers: Observer[]) => Promise<void>,
): Promise<void> {
  const observers = await Promise.all(hosts.map(({ engine }) => watchContainers(engine, service)));
  try {
    await body(observers);
  } finally {
    for (const observer of observers) await observer.close();
  }
}

const running = (observers: readonly Observer[]) => observers.map((one) => one.running());
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** Wall-clock ms of the newest event of that kind about the node. */
async function eventOf({ server }: Hosts, type: string, node: string): Promise<number> {
  return await eventually(async () => {
    const listed = await server.client.listEvents({ last: 200 });
    const found = listed.ok
      ? listed.value.items.findLast((event) => event.type === type && event.node === node)
      : undefined;
    return found && Date.parse(found.at);
  }, { timeoutMs: 30_000, what: `${type} of ${node}` });
}

for (const direction of ["both", "in", "out"] as const) {
  hostsTest(
    `the tasks of a host that is cut off (${direction}) are replaced; when it heals nothing is doubled`,
    bed,
    async (all) => {
      const { server, hosts } = all;
      const [first] = hosts;
      assert(first);
      await runService(server, { name: "web", mode: { type: "replicated", replicas: 6 } });
      await settled(server, "web", 6);
      await watched(hosts, "web", async (observers) => {
        assertEquals(running(observers), [2, 2, 2]);
        const cutMs = Date.now();
        await first.cut(direction);
        await settled(server, "web", 6, (node) => node !== "h1");
        const downMs = await eventOf(all, "node.down", "h1") - cutMs;
        assert(downMs <= TTL_MS + 1000, `down after ${downMs} ms`);
        assertEquals(running(observers), [2, 3, 3], "what is cut off lives on");

        await first.heal();
        await eventually(() => sum(running(observers)) === 6, {
          timeoutMs: 30_000,
          what: "the superfluous containers to go",
        });
        await settled(server, "web", 6);
        for (const observer of observers) await observer.settle();
        assertEquals(sum(running(observers)), 6);
        assertEquals(mostAtOnceOver(observers), 8, "the two that were cut off, and no more");
      });
    },
  );
}

hostsTest(
  "a strict singleton never has two live containers across a partition",
  bed,
  async (all) => {
    const { server, hosts } = all;
    await runService(server, { name: "one", singleton: "strict" });
    await settled(server, "one", 1);
    await watched(hosts, "one", async (observers) => {
      for (let round = 0; round < 2; round++) {
        const [place] = await places(server, "one");
        const host = hosts.find(({ name }) => name === place);
        assert(host);
        await host.cut();
        await settled(server, "one", 1, (node) => node !== place);
        await host.heal();
        await eventually(async () => {
          const node = await server.client.getNode(host.name);
          return node.ok && node.value.status.state === "ready";
        }, { timeoutMs: 30_000, what: "the healed node to be ready" });
        await settled(server, "one", 1);
      }
      for (const observer of observers) await observer.settle();
      const history = observers.flatMap((one) => one.history()).join("\n");
      assertEquals(sum(running(observers)), 1, history);
      assertEquals(mostAtOnceOver(observers), 1, history);
    });
  },
);
