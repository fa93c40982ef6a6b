/**
 * What simulations found about nodes and their agents, each as a short story that leads there again.
 *
 * @module
 */
import type { SimNode } from "../node.ts";
import { Detour, type Story } from "../run.ts";
import type { Sim } from "../sim.ts";
import { ask, create, leader, MACHINE, put, running, serviceOf, until } from "./story.ts";

const PAIR = [MACHINE, MACHINE];
const TTL_MS = 6_000;

function nodeOf(sim: Sim, service: string): SimNode {
  const [found] = running(sim, service);
  if (!found) throw new Detour(`${service} does not run`);
  return found.node;
}

function cut(sim: Sim, node: SimNode, ms: number): void {
  node.cut.toMs = node.cut.fromMs = sim.timeline.nowMs + ms;
}

/** `s1` runs, and `then` comes to pass. */
function withService(
  more: Parameters<typeof serviceOf>[1],
  then: (sim: Sim) => Promise<void>,
  replicas = 2,
): Story {
  return {
    replicas,
    nodes: PAIR,
    async run(sim) {
      await create(sim, serviceOf("s1", more));
      await until(sim, "s1 runs", () => running(sim, "s1").length > 0);
      await then(sim);
    },
  };
}

/** Of its usual pace: a start takes some seconds. */
const SLOWLY = 30;

/** A node is removed whose container ignores its signal; all is well, so it is not given up afterwards. */
export const JOINS_ANEW: Story = withService(
  {
    template: { image: "app:1", command: ["sh", "-c", "trap '' TERM; sleep infinity"] },
  },
  async (sim) => {
    const node = nodeOf(sim, "s1");
    const { nodeId = "" } = node;
    void sim.user.ask("removes it", (client) => client.deleteNode(nodeId, { force: true }));
    await until(sim, "the node is removed", () => sim.checker.wasRemoved(nodeId));
    sim.checker.allIsWell();
    await until(sim, "it joins anew", () => ![nodeId, undefined].includes(node.nodeId));
    await sim.pass(TTL_MS + 8_000);
  },
);

export const FOUND_OF_NODES: Record<string, Story> = {
  "a lost task's late report made it stopped": withService({}, async (sim) => {
    const node = nodeOf(sim, "s1");
    cut(sim, node, TTL_MS + 6_000);
    await put(sim, "s1", { stopped: true });
    await sim.pass(TTL_MS + 8_000);
  }),
  "a report of a lost task opened a further attempt": withService({}, async (sim) => {
    const [found] = running(sim, "s1");
    if (!found) throw new Detour("s1 does not run");
    cut(sim, found.node, TTL_MS + 6_000);
    await sim.pass(1_000);
    found.node.control.exit(found.task.id, 1);
    await sim.pass(TTL_MS + 8_000);
  }),
  "a join that came twice withdrew the credential, or was refused for its own name": withService(
    {},
    async (sim) => {
      const { faults } = sim.network;
      sim.network.faults = { ...faults, doubled: 1, late: 1 };
      const node = sim.addNode(MACHINE);
      await until(sim, "the node joins", () => node.nodeId !== undefined);
      sim.network.faults = faults;
      await sim.pass(16_000);
    },
  ),
  "a leader that had stood still took that time for the nodes' silence": withService(
    {},
    async (sim) => {
      for (const what of ["kv commit", "kv list", "kv get"]) {
        const process = leader(sim)?.process;
        if (process) {
          const only = (effect: string) => effect === what;
          process.fuse = { left: 1, only, then: { stallMs: TTL_MS + 2_000 } };
        }
        await put(sim, "s1", { priority: what.length });
        await sim.pass(TTL_MS + 4_000);
      }
    },
    1,
  ),
  "beats that were replaced before the leader looked: live nodes were given up": withService(
    {},
    async (sim) => {
      for (let times = 0; times < 6; times++) {
        leader(sim)?.process?.stall(2_500);
        await sim.pass(4_000);
      }
    },
  ),
  "a look at the beats that took long made all later ones seem older: live nodes were given up":
    withService({}, async (sim) => {
      const leads = leader(sim);
      const { process } = leads ?? {};
      if (!leads || !process) throw new Detour("nobody leads");
      sim.checker.allIsWell();
      leads.hiddenUntilMs = Infinity;
      await sim.pass(2_000);
      for (let left = 1; left <= 3; left++) {
        const only = (effect: string) => effect === "kv list";
        process.fuse = { left, only, then: { stallMs: 3_400 } };
        await sim.pass(TTL_MS + 4_000);
      }
      leads.hiddenUntilMs = 0;
    }),
  "a node heard while the leader stood still was taken back and given up at once": withService(
    {},
    async (sim) => {
      cut(sim, nodeOf(sim, "s1"), TTL_MS + 3_000);
      await sim.pass(TTL_MS + 1_500);
      leader(sim)?.process?.stall(3_500);
      await sim.pass(10_000);
    },
  ),
  "an agent that had lost its state started again what had ended": {
    replicas: 2,
    nodes: PAIR,
    async run(sim) {
      const template = { image: "app:1", env: { SIM_RUN_MS: "300", SIM_EXIT: "0" } };
      await create(sim, { name: "j1", mode: { type: "job", completions: 2 }, template });
      await sim.pass(3_000);
      for (const node of sim.nodes) {
        node.process?.die("kill -9");
        node.forget();
      }
      await sim.pass(10_000);
    },
  },
  "a report overtaken by its node's removal left a row behind": withService(
    { mode: { type: "replicated", replicas: 2 } },
    async (sim) => {
      const { nodeId = "" } = nodeOf(sim, "s1");
      sim.network.faults = { ...sim.network.faults, late: 1 };
      for (const { node, task } of running(sim, "s1")) node.control.exit(task.id, 1);
      void sim.user.ask("removes it", (client) => client.deleteNode(nodeId, { force: true }));
      await until(sim, "the node is removed", () => sim.checker.wasRemoved(nodeId));
      await sim.pass(16_000);
    },
  ),
  "a poll that was held counted as silence: tasks with stopAfterMs stopped for ever": withService(
    { disconnect: { stopAfterMs: 2_000 } },
    async (sim) => void await sim.pass(12_000),
  ),
  "the same, with strict singletons": withService(
    { singleton: "strict" },
    async (sim) => void await sim.pass(12_000),
  ),
  "an agent that was started again did not probe tasks that were not ready yet": withService(
    {
      template: {
        image: "app:1",
        readiness: {
          probe: { type: "exec", command: ["check"] },
          ...{ intervalMs: 1500, startIntervalMs: 300, timeoutMs: 500 },
        },
      },
    },
    async (sim) => {
      const [found] = running(sim, "s1");
      if (!found) throw new Detour("s1 does not run");
      found.node.control.setHealth(found.task.id, { ready: false });
      await sim.pass(3_000);
      found.node.process?.die("kill -9");
      await sim.pass(10_000);
      found.node.control.setHealth(found.task.id, { ready: true });
      await sim.pass(3_000);
    },
  ),
  "a failed pull was tried again only at the next full look": withService({}, async (sim) => {
    for (const { control } of sim.nodes) control.loseAnswer("pull");
    const { template } = serviceOf("s2");
    await create(sim, serviceOf("s2", { template: { ...template, image: "app:2" } }));
    if (!await sim.pass(4_000, () => running(sim, "s2").length === 1)) {
      sim.fail("story: a failed pull is tried again within seconds");
    }
  }),
  "an order to start a container outlived the agent that gave it, and the report that it had stopped":
    withService({}, async (sim) => {
      const node = nodeOf(sim, "s1");
      const others = sim.nodes.filter((other) => other !== node);
      for (const { nodeId = "" } of others) {
        await ask(
          sim,
          "cordons",
          (client) => client.putNodeSpec(nodeId, { availability: "cordon" }),
        );
      }
      node.slowEngine(SLOWLY);
      const before = new Set(node.control.containers().map(({ taskId }) => taskId));
      await create(sim, serviceOf("s2"));
      await until(
        sim,
        "a container is made",
        () => node.control.containers().some(({ taskId }) => !before.has(taskId)),
      );
      await sim.pass(1_000);
      node.process?.die("kill -9");
      await put(sim, "s2", { stopped: true });
      await sim.pass(12_000);
    }),
  "a worker that joined anew was not heard before its former containers were gone": JOINS_ANEW,
  "a no-execute taint left the tasks of global services where they were": {
    replicas: 1,
    nodes: PAIR,
    async run(sim) {
      await create(sim, serviceOf("g1", { mode: { type: "global" } }));
      await until(sim, "g1 runs everywhere", () => running(sim, "g1").length === 2);
      const taints = [{ key: "special", effect: "no-execute" as const }];
      await ask(sim, "taints n1", (client) => client.putNodeSpec("n1", { taints }));
      await sim.pass(6_000);
    },
  },
};
