import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { NodeSpecInput } from "../../kv/schema/node.ts";
import type { StrategyName } from "../../kv/schema/placement.ts";
import { okValue } from "../support/api.ts";
import { engineTest } from "../support/engine.ts";
import { inRig, type Rig, sideBySide, type SpecInput } from "../support/rig.ts";
import { freePort } from "../support/traffic.ts";

type Placement = NonNullable<NonNullable<SpecInput["template"]>["placement"]>;

const MACHINE = ["--cpus", "2", "--memory", "1024"];
const WORKERS = {
  a1: [
    ...MACHINE,
    "--label",
    "zone=a",
    "--label",
    "disk=ssd",
    "--reserve-memory",
    "24",
    "--gpus",
    "2",
  ],
  a2: [...MACHINE, "--label", "zone=a", "--reserve-memory", "4"],
  b1: [...MACHINE, "--label", "zone=b", "--reserve-memory", "4"],
  b2: [...MACHINE, "--label", "zone=b", "--reserve-memory", "4"],
};

function service(name: string, replicas: number, placement: Placement, more = {}): SpecInput {
  return { name, mode: { type: "replicated", replicas }, template: { placement, ...more } };
}

/** Waits until a task of the service waits for a reason with these words. */
async function waiting(rig: Rig, name: string, words: string): Promise<void> {
  let last = "";
  await rig.until(`${name} to wait because of "${words}"`, async () => {
    const tasks = await rig.live(name);
    last = tasks.map(({ state, why }) => `${state}: ${why}`).join("; ");
    return tasks.some(({ state, why }) => state === "pending" && why?.includes(words));
  }).catch((error) => {
    throw new Error(`${error.message}; it says ${last}`);
  });
}

/** Waits until so many tasks run, others may wait; answers the nodes, sorted. */
async function runOn(rig: Rig, name: string, count: number): Promise<string[]> {
  return await rig.until(`${count} tasks of ${name} to run`, async () => {
    const running = (await rig.live(name)).filter(({ state }) => state === "running");
    return running.length === count && running.map(({ node }) => node ?? "").sort();
  });
}

engineTest("placement rules on real containers", async (connection, t) => {
  await inRig(connection, { workers: WORKERS }, async (rig) => {
    const gpu = { key: "gpu", effect: "no-schedule" } as const;
    await rig.setNode("b2", { pool: "edge", taints: [gpu] });
    await sideBySide(t, {
      "capacity is the engine's or what was set, less the reserve": async () => {
        const node = okValue(await rig.server.client.getNode("a1"));
        const { capacity, allocatable, arch, os, diskMiB = 0 } = node;
        assertEquals([capacity.memoryMiB, allocatable?.memoryMiB], [1024, 1000]);
        assert(diskMiB > 0, "the disk of an engine on this machine is known");
        assertEquals([capacity.cpus, os], [2, "linux"]);
        assert(arch !== "");
      },
      "GPUs are counted: a task goes where they are, and more than a node has wait": async () => {
        const asking = (count: number) => ({ container: { deviceRequests: [{ count }] } });
        await rig.run(service("many", 1, {}, asking(3)));
        await waiting(rig, "many", "1 lacks GPUs");
        // This engine hands out none, so the container does not come up; where it went is what counts.
        await rig.run(service("one", 1, {}, asking(1)));
        await rig.until("one to be placed", async () => (await rig.live("one"))[0]?.node === "a1");
        okValue(await rig.server.client.deleteService("one", rig.project));
      },
      "constraints choose the node, and a label that is set places what waited for it":
        async () => {
          const constraints = ["node.labels.zone==a", "node.labels.disk!=ssd"];
          const more = ["node.platform.os==linux", "node.ip!=10.250.0.0/16", "node.hostname!=x"];
          await rig.run(service("picky", 1, { constraints: [...constraints, ...more] }));
          await rig.run(service("racked", 1, { constraints: ["node.labels.rack==r9"] }));
          assertEquals(await runOn(rig, "picky", 1), ["a2"]);
          await waiting(rig, "racked", "node.labels.rack==r9");
          await rig.setNode("b1", { labels: { rack: "r9" } });
          assertEquals(await runOn(rig, "racked", 1), ["b1"]);
        },
      "pools and taints keep tasks away, tolerations let them in, no-execute moves them":
        async () => {
          const tolerations = [{ key: "gpu", operator: "exists" }] as const;
          const edge = (more: Placement) => service("edge", 1, { pool: "edge", ...more });
          await rig.run(edge({}));
          await waiting(rig, "edge", "taint gpu");
          await rig.put(
            edge({ tolerations: [...tolerations, { key: "out", operator: "exists" }] }),
          );
          assertEquals(await runOn(rig, "edge", 1), ["b2"]);
          const likes = { to: { constraint: "node.name==b2" } };
          await rig.run(
            service("guest", 1, { tolerations: [...tolerations], affinity: [likes] }),
          );
          assertEquals(await runOn(rig, "guest", 1), ["b2"]);
          await rig.run({
            ...service("each", 1, { pool: "edge", tolerations: [...tolerations] }),
            mode: { type: "global" },
          });
          assertEquals(await runOn(rig, "each", 1), ["b2"]);
          const out = { key: "out", effect: "no-execute" } as const;
          await rig.setNode("b2", { pool: "edge", taints: [gpu, out] });
          await rig.until(
            "guest to leave b2",
            async () => (await rig.running("guest", 1)).every(({ node }) => node !== "b2"),
          );
          await rig.until("each to leave b2", async () => (await rig.live("each")).length === 0);
          assertEquals(await runOn(rig, "edge", 1), ["b2"]);
        },
      "affinity brings together, anti-affinity keeps apart, and a preference is followed":
        async () => {
          const affinity = [{ to: { service: "db" }, required: true }];
          await rig.run(service("near", 2, { affinity }));
          await waiting(rig, "near", "no task of db");
          const ssd = { to: { constraint: "node.labels.disk==ssd" }, weight: 80 };
          await rig.run(service("db", 1, { affinity: [ssd] }));
          assertEquals(await runOn(rig, "db", 1), ["a1"]);
          assertEquals(await runOn(rig, "near", 2), ["a1", "a1"]);
          const apart = [{ to: { service: "apart" }, anti: true, required: true }];
          await rig.run(service("apart", 4, { affinity: apart }));
          assertEquals(await runOn(rig, "apart", 3), ["a1", "a2", "b1"]);
          await waiting(rig, "apart", "task of apart");
        },
      "a spread keeps its skew, and no node gets more than maxPerNode": async () => {
        const spread = [{ label: "zone", required: true, maxSkew: 1 }];
        await rig.run(service("wide", 4, { spread, maxPerNode: 2 }));
        const zones = (await runOn(rig, "wide", 4)).map((node) => node[0]).sort();
        assertEquals(zones.join(""), "aabb");
        const inA = { constraints: ["node.labels.zone==a"] };
        await rig.run(service("few", 3, { ...inA, maxPerNode: 1 }));
        assertEquals(await runOn(rig, "few", 2), ["a1", "a2"]);
        await waiting(rig, "few", "1 task of the service");
      },
      "two tasks never share a host port: the second waits until the first is gone": async () => {
        const ports = [{ target: 80, published: freePort(), mode: "host" as const }];
        const on = { constraints: ["node.name==a1"] };
        await rig.run(service("door", 1, on, { ports }));
        await runOn(rig, "door", 1);
        await rig.run(service("doors", 1, on, { ports: [{ ...ports[0], target: 81 }] }));
        await waiting(rig, "doors", "port");
        await rig.remove("door");
        assertEquals(await runOn(rig, "doors", 1), ["a1"]);
      },
      "priority makes room within the disruption budget, for a global service too": async () => {
        const third = { reserve: { cpus: 0, memoryMiB: 340 } };
        const on = { constraints: ["node.name==a2"] };
        const low = (maxUnavailable: number) => ({
          ...service("low", 3, on, third),
          disruption: { maxUnavailable },
        });
        await rig.run(low(1));
        await runOn(rig, "low", 3);
        await rig.run({ ...service("high", 1, on, third), priority: 5 });
        assertEquals(await runOn(rig, "high", 1), ["a2"]);
        await waiting(rig, "low", "memory");
        const { name, template = {} } = service("everywhere", 1, on, third);
        await rig.run({ name, template, mode: { type: "global" }, priority: 5 });
        await waiting(rig, "everywhere", "memory");
        assertEquals((await runOn(rig, "low", 2)).length, 2, "the budget is spent");
        await rig.put(low(2));
        assertEquals(await runOn(rig, "everywhere", 1), ["a2"]);
        assertEquals((await runOn(rig, "low", 1)).length, 1);
      },
      "a node where tasks keep failing is ranked last for the service, and says so": async () => {
        const on = { constraints: ["node.labels.zone==a"] };
        const restart = { maxAttempts: 0 };
        const { id } = await rig.run(
          service("broken", 1, on, { command: ["false"], restart }),
        );
        const failing = await rig.until("a node to be called failing", async () => {
          const { items } = okValue(await rig.server.client.listNodes());
          return items.find(({ status }) => status.failing?.[id]);
        });
        assertStringIncludes(failing.status.failing?.[id] ?? "", "broken failed there");
        await rig.until(
          "the next task on another node",
          async () =>
            (await rig.history("broken")).some(({ node }) => node && node !== failing.name),
        );
      },
    });
  });
});

const SCORER: Record<StrategyName, string> = {
  ...{ spread: "siblings", binpack: "slack", epvm: "epvm", roundrobin: "turn", random: "lot" },
};

engineTest("strategies, plans and simulations on real containers", async (connection, t) => {
  const { a1, a2, b1 } = WORKERS;
  const options = { workers: { a1, a2, b1 }, serverArgs: ["--strategy", "binpack"] };
  await inRig(connection, options, async (rig) => {
    const small = { reserve: { cpus: 0.05, memoryMiB: 16 } };
    const nodesOf = async (strategy: StrategyName, replicas: number) => {
      const placement = strategy === "binpack" ? {} : { strategy }; // It is the cluster's.
      await rig.run(service(strategy, replicas, placement, small));
      const nodes = await runOn(rig, strategy, replicas);
      const why = okValue(await rig.server.client.why(`${strategy}.1`, rig.project));
      assert(SCORER[strategy] in (why.nodes[0]?.scores ?? {}), JSON.stringify(why.nodes[0]));
      return nodes;
    };
    await t.step(
      "each strategy places by its own measure, the cluster's unless the service names one",
      async () => {
        const big = { reserve: { cpus: 1, memoryMiB: 600 } };
        await rig.run(service("hog", 1, { constraints: ["node.name==a1"] }, big));
        await runOn(rig, "hog", 1);
        assertEquals(await nodesOf("binpack", 2), ["a1", "a1"]);
        assertEquals(await nodesOf("spread", 3), ["a1", "a2", "b1"]);
        assertEquals(await nodesOf("epvm", 2), ["a2", "b1"]);
        assertEquals(await nodesOf("roundrobin", 3), ["a1", "a2", "b1"]);
        assertEquals((await nodesOf("random", 2)).length, 2);
      },
    );
    await t.step(
      "what was planned is what applying does, and simulating writes nothing",
      async () => {
        const services = okValue(await rig.server.client.listServices()).items.length;
        const spec = rig.spec(service("planned", 2, {}, small));
        const forecast = okValue(await rig.server.client.plan({ specs: [spec] }));
        assertEquals(okValue(await rig.server.client.listServices()).items.length, services);
        const planned = forecast.changes.map(({ kind, to }) => `${kind} ${to}`).sort();
        await rig.run(spec);
        const placed = (await runOn(rig, "planned", 2)).map((node) => `new ${node}`);
        assertEquals(planned, placed);
        const before = await rig.places("hog");
        const failed = okValue(await rig.server.client.simulate({ fail: ["a1"] }));
        assert(failed.changes.some(({ name, kind }) => name === "hog.1" && kind === "unplaceable"));
        assertEquals(await rig.places("hog"), before);
      },
    );
    const leavings: Record<string, NodeSpecInput> = {
      "a drain spares what its budget keeps until its deadline": { availability: "drain" },
      "a no-execute taint spares what its budget keeps until the node's deadline": {
        taints: [{ key: "out", effect: "no-execute" }],
      },
    };
    for (const [property, spec] of Object.entries(leavings)) {
      await t.step(property, async () => {
        await rig.run({ ...service("kept", 1, {}, small), disruption: { maxUnavailable: 0 } });
        const [home = ""] = await runOn(rig, "kept", 1);
        const beganMs = performance.now();
        await rig.setNode(home, { ...spec, drain: { deadlineMs: 1500 } });
        await rig.until("kept to move", async () => {
          const [node] = await rig.places("kept");
          return node !== undefined && node !== home;
        });
        assert(performance.now() - beganMs >= 1500);
        await rig.running("kept", 1);
        await rig.remove("kept");
        await rig.setNode(home, {});
      });
    }
  });
});
