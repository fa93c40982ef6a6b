/**
 * Short stories of ordinary days and of bad ones: each leads to what some planted bug needs, on purpose
 * and without chance.
 *
 * @module
 */
import { Detour, type Story } from "../run.ts";
import type { Sim } from "../sim.ts";
import { ask, create, leader, MACHINE, put, running, serviceOf, until } from "./story.ts";

const PAIR = [MACHINE, MACHINE];

const runs = (sim: Sim, service: string, count: number) =>
  until(sim, `${count} of ${service} run`, () => running(sim, service).length === count);

/** A service is asked for. */
export const FIRST: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    await create(sim, serviceOf("s1"));
    await sim.pass(4_000);
  },
};

/** A service's life: it is created, scaled, changed, has containers that exit, and is deleted. */
export const LIFE: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    await create(sim, serviceOf("s1", { mode: { type: "replicated", replicas: 2 } }));
    await create(sim, serviceOf("s2"));
    await runs(sim, "s1", 2);
    for (let exits = 0; exits < 2; exits++) {
      const [found] = running(sim, "s1");
      if (found) found.node.control.exit(found.task.id, 1);
      await sim.pass(3_000);
    }
    await put(sim, "s1", { mode: { type: "replicated", replicas: 1 } });
    await sim.pass(2_000);
    const { template } = serviceOf("s1");
    await put(sim, "s1", { template: { ...template, env: { V: "2" } } });
    await sim.pass(5_000);
    await ask(sim, "deletes s2", (client) => client.deleteService("s2"));
    await sim.pass(2_000);
  },
};

/** A job that is run by hand, and a schedule. */
export const WORK: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    const template = { image: "app:1", env: { SIM_RUN_MS: "500", SIM_EXIT: "0" } };
    await create(sim, { name: "j1", mode: { type: "job", completions: 1 }, template });
    await create(sim, {
      name: "c1",
      mode: { type: "cron", schedule: "*/3 * * * * *", concurrency: "allow" },
      template,
    });
    const idempotencyKey = sim.user.newKey();
    for (let twice = 0; twice < 2; twice++) {
      await ask(
        sim,
        "runs j1",
        (client) => client.createRun("j1", {}, undefined, { idempotencyKey }),
      );
    }
    await sim.pass(12_000);
  },
};

/** More is asked for than there is room. */
export const CROWD: Story = {
  replicas: 1,
  nodes: [{ ...MACHINE, cpus: 1, labels: { zone: "a" } }, {
    ...MACHINE,
    cpus: 1,
    labels: { zone: "b" },
  }],
  async run(sim) {
    const { template } = serviceOf("s1");
    const big = (zone: string) => ({
      ...template,
      reserve: { cpus: 0.75 },
      placement: { labels: { zone } },
    });
    for (const [name, zone] of [["s1", "a"], ["s2", "b"], ["s3", "a"]] as const) {
      await create(sim, serviceOf(name, { template: big(zone) }));
    }
    await runs(sim, "s1", 1);
    await runs(sim, "s2", 1);
    await put(sim, "s3", { mode: { type: "replicated", replicas: 2 } });
    await sim.pass(2_000);
  },
};

/** A node is cut off for longer than its TTL, while its tasks are asked to stop, and returns. */
export const LOSS: Story = {
  replicas: 2,
  nodes: [MACHINE, MACHINE, MACHINE],
  async run(sim) {
    await create(sim, serviceOf("s1", { mode: { type: "replicated", replicas: 3 } }));
    await create(sim, serviceOf("s2", { mode: { type: "replicated", replicas: 3 } }));
    await runs(sim, "s1", 3);
    await runs(sim, "s2", 3);
    const [node] = sim.nodes;
    if (node) node.cut.toMs = node.cut.fromMs = sim.timeline.nowMs + 12_000;
    await sim.pass(1_000);
    await ask(sim, "deletes s2", (client) => client.deleteService("s2"));
    sim.user.services.delete("s2");
    await sim.pass(14_000);
  },
};

/** One node is drained, another removed. */
export const MOVE: Story = {
  replicas: 1,
  nodes: [MACHINE, MACHINE, MACHINE],
  async run(sim) {
    await create(sim, serviceOf("s1", { mode: { type: "replicated", replicas: 3 } }));
    await runs(sim, "s1", 3);
    const [first, second] = sim.nodes;
    await ask(
      sim,
      "drains n1",
      (client) => client.putNodeSpec(first?.name ?? "", { availability: "drain" }),
    );
    await sim.pass(4_000);
    const { nodeId = "" } = second ?? {};
    void sim.user.ask("removes n2", (client) => client.deleteNode(nodeId, { force: true }));
    await until(sim, "n2 is removed", () => sim.checker.wasRemoved(nodeId));
    await sim.pass(4_000);
  },
};

/** A task that is ready only once its probe says so. */
export const PROBED: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    const { template } = serviceOf("s1");
    const probe = { type: "exec" as const, command: ["check"] };
    const readiness = { probe, intervalMs: 1500, startIntervalMs: 300, timeoutMs: 500 };
    await create(sim, serviceOf("s1", { template: { ...template, readiness } }));
    await runs(sim, "s1", 1);
    await sim.pass(3_000);
  },
};

/** A leader stands still at a commit until another one leads, and goes on. */
export const STALL: Story = {
  replicas: 2,
  nodes: PAIR,
  async run(sim) {
    await create(sim, serviceOf("s1"));
    await runs(sim, "s1", 1);
    const { process, name } = leader(sim) ?? {};
    if (!process) throw new Detour("nobody leads");
    process.fuse = { left: 1, only: (what) => what === "kv commit", then: { stallMs: 8_000 } };
    for (const replica of sim.replicas) {
      if (replica.name === name) replica.hiddenUntilMs = sim.timeline.nowMs + 8_000;
    }
    const [found] = running(sim, "s1");
    if (found) found.node.control.exit(found.task.id, 1);
    await put(sim, "s1", { priority: 7 });
    await sim.pass(14_000);
  },
};

/** The disk is full when a user writes. */
export const FULL: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    await create(sim, serviceOf("s1"));
    await runs(sim, "s1", 1);
    const { base, database } = sim;
    database.faults = { ...base.database, full: true };
    sim.timeline.after(1_500, () => database.faults = base.database);
    await put(sim, "s1", { priority: 7 });
    await sim.pass(2_000);
  },
};

/** Two services ask for one port of the cluster; the second is refused. */
export const PORTS: Story = {
  replicas: 1,
  nodes: PAIR,
  async run(sim) {
    const { template } = serviceOf("s1");
    const ports = [{ target: 80, published: 8080, mode: "ingress" as const }];
    await create(sim, serviceOf("s1", { template: { ...template, ports } }));
    await runs(sim, "s1", 1);
    const second = serviceOf("s2", { template: { ...template, ports } });
    const idempotencyKey = sim.user.newKey();
    void sim.user.ask("creates s2", (client) => client.createService(second, { idempotencyKey }));
    await sim.pass(2_000);
  },
};
