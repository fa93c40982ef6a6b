/**
 * What simulations found about services, jobs, schedules and leaders, each as a short story that leads
 * there again.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import type { Story } from "../run.ts";
import type { Sim } from "../sim.ts";
import { ask, create, leader, MACHINE, put, running, serviceOf, until } from "./story.ts";

const PAIR = [MACHINE, MACHINE];
const HOUR_MS = 3_600_000;

function jobOf(name: string, exit: 0 | 1, more: { retries: number }): ServiceSpecInput {
  return {
    name,
    mode: { type: "job", completions: 1, ...more },
    template: {
      image: "app:1",
      env: { SIM_RUN_MS: "300", SIM_EXIT: String(exit) },
      restart: { condition: "none" },
    },
  };
}

/** The leader dies, and whoever follows has another idea of the time. */
async function nextLeader(sim: Sim): Promise<void> {
  const old = leader(sim);
  for (const replica of sim.replicas) {
    if (replica !== old) replica.machine.wallErrorMs = -HOUR_MS;
  }
  old?.process?.die("kill -9");
  await until(sim, "another leads", () => leader(sim) !== undefined && leader(sim) !== old);
}

export const FOUND_OF_SERVICES: Record<string, Story> = {
  "a stopped job was told to have failed: lost tasks counted against its retries": {
    replicas: 2,
    nodes: PAIR,
    async run(sim) {
      const job = jobOf("j1", 0, { retries: 0 });
      const template = { ...job.template, env: { SIM_RUN_MS: "60000", SIM_EXIT: "0" } };
      await create(sim, { ...job, template });
      await until(sim, "j1 runs", () => running(sim, "j1").length === 1);
      for (const { node } of running(sim, "j1")) {
        node.cut.toMs = node.cut.fromMs = sim.timeline.nowMs + 9_000;
      }
      await sim.pass(8_000);
      await put(sim, "j1", { stopped: true });
      await sim.pass(4_000);
    },
  },
  "a job that had failed was told to be converging: its failures were purged": {
    replicas: 1,
    nodes: PAIR,
    async run(sim) {
      await create(sim, jobOf("j1", 1, { retries: 5 }));
      await sim.pass(40_000);
    },
  },
  "task ids of leaders with different clocks: the newest task was not the newest": {
    replicas: 2,
    nodes: PAIR,
    async run(sim) {
      const old = leader(sim);
      if (old) old.machine.wallErrorMs = HOUR_MS;
      await create(sim, jobOf("j1", 1, { retries: 5 }));
      await sim.pass(4_000);
      await nextLeader(sim);
      await sim.pass(36_000);
    },
  },
  "after a purge and a change of leader a task's id was used again": {
    replicas: 2,
    nodes: PAIR,
    async run(sim) {
      await create(sim, jobOf("j1", 1, { retries: 5 }));
      await create(sim, serviceOf("s1"));
      await sim.pass(20_000);
      await nextLeader(sim);
      for (let times = 1; times <= 4; times++) {
        const { template } = serviceOf("s1");
        await put(sim, "s1", { template: { ...template, env: { V: String(times) } } });
        await sim.pass(6_000);
      }
    },
  },
  "a global service with a limit of tasks a node stopped and started its tasks for ever": {
    replicas: 1,
    nodes: PAIR,
    async run(sim) {
      const { template } = serviceOf("g1");
      const placement = { maxPerNode: 1 };
      await create(
        sim,
        serviceOf("g1", { mode: { type: "global" }, template: { ...template, placement } }),
      );
      await until(sim, "g1 runs everywhere", () => running(sim, "g1").length === 2);
      const begun = sim.history.length;
      await sim.pass(8_000);
      const stops = sim.history.slice(begun).filter((line) => line.includes("task.stopping"));
      if (stops.length > 0) sim.fail(`story: nothing changes, and ${stops.length} tasks stop`);
    },
  },
  "a run that was replaced while it waited was placed in the same plan": {
    replicas: 1,
    nodes: [{ ...MACHINE, cpus: 1 }],
    async run(sim) {
      const { template } = serviceOf("s1");
      const reserve = { cpus: 0.75 };
      await create(sim, serviceOf("s1", { template: { ...template, reserve } }));
      await until(sim, "s1 runs", () => running(sim, "s1").length === 1);
      await create(sim, {
        name: "c1",
        mode: { type: "cron", schedule: "*/3 * * * * *", concurrency: "replace" },
        template: { image: "app:1", reserve, env: { SIM_RUN_MS: "2000", SIM_EXIT: "0" } },
      });
      await sim.pass(8_000);
      await put(sim, "s1", { mode: { type: "replicated", replicas: 0 } });
      await sim.pass(8_000);
    },
  },
  "a service was planned without its volumes: a row of it was damaged when it was looked at": {
    replicas: 1,
    nodes: PAIR,
    async run(sim) {
      const { template } = serviceOf("s1");
      await create(sim, serviceOf("s1", { update: { monitorMs: 60_000 } }));
      await until(sim, "s1 runs", () => running(sim, "s1").length === 1);
      await put(sim, "s1", { template: { ...template, env: { V: "2" } } });
      await ask(sim, "pauses", (client) => client.steerRollout("s1", { action: "pause" }));
      await sim.pass(3_000);
      sim.poison.damage(sim.random("story"));
      const mounts = [{ type: "volume" as const, source: "v1", target: "/data" }];
      await put(sim, "s1", { template: { ...template, mounts } });
      await sim.pass(500);
      for (const { node, task } of running(sim, "s1")) node.control.removeBehindBack(task.id);
      await sim.pass(3_000);
      await sim.poison.cure();
      await sim.pass(3_000);
    },
  },
  "beside a canary that waited for room the old revision failed: its slot was expected to change": {
    replicas: 1,
    nodes: PAIR,
    async run(sim) {
      const { template } = serviceOf("s1");
      const env = { SIM_EXIT: "1", SIM_RUN_MS: "1000" };
      await create(
        sim,
        serviceOf("s1", {
          mode: { type: "replicated", replicas: 3 },
          template: { ...template, env, restart: { condition: "none" } },
          update: { strategy: "canary", canary: 2, parallelism: 0 },
        }),
      );
      await until(sim, "s1 runs", () => running(sim, "s1").length === 3);
      await put(sim, "s1", { template: { ...template, placement: { pool: "edge" } } });
      const { facts } = sim.checker;
      const id = facts.services().find(({ name }) => name === "s1")?.id ?? "";
      const waiting = () => facts.tasksOf(id).filter((task) => task.revision === 2);
      await until(sim, "the canary waits for room", () => waiting().length === 2);
      const failures = facts.failures(id);
      await until(sim, "the third slot is tried anew", () => facts.failures(id) >= failures + 4);
    },
  },
};
