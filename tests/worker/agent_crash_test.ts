import { assert, assertEquals } from "@std/assert";
import type { Assignment } from "../../kv/schema/agent.ts";
import { type AgentWorld, createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";
import { createMortality } from "../support/mortal.ts";

const task = idOf(1);

/** Counts the runs that the engine really began. */
function countRuns(world: AgentWorld): { runs: number; stop(): Promise<void> } {
  const stop = new AbortController();
  const counter = {
    runs: 0,
    async stop() {
      stop.abort();
      await reading;
    },
  };
  const reading = (async () => {
    for await (const event of world.runtime().events(stop.signal)) {
      if (event.type === "start") counter.runs++;
    }
  })();
  return counter;
}

type Moment = "before" | "after";
interface Story {
  assignment: Assignment;
  /** What happens in the world before the agent that will die starts. */
  prepare?: (world: AgentWorld) => Promise<void>;
  check: (world: AgentWorld, runs: number, where: string) => void;
}

/** Plays the story once for every call of the first agent at which it can die; returns how many. */
async function killEverywhere({ assignment, prepare, check }: Story): Promise<number> {
  let deaths = 0;
  for (const moment of ["before", "after"] as Moment[]) {
    for (let at = 1; at < 100; at++) {
      const world = createAgentWorld();
      const counter = countRuns(world);
      world.server.assign(assignment);
      await prepare?.(world);
      const mortality = createMortality(at, moment);
      const first = world.agent({
        runtime: mortality.wrap(world.runtime()),
        state: mortality.wrap(world.store),
        client: mortality.wrap(world.server),
      });
      const life = (async () => {
        await first.load();
        for (let round = 0; round < 3; round++) await world.round(first);
      })();
      await world.clock.until(Promise.race([life, mortality.died]));
      life.catch(() => {});
      const killed = mortality.dead;
      await world.running(async () => await world.clock.advance(8_000));
      await counter.stop();
      const where = `killed ${moment} call ${at}`;
      assert(world.control.containers().length <= 1, where);
      check(world, counter.runs, where);
      if (!killed) break;
      deaths++;
    }
  }
  return deaths;
}

Deno.test("killed at any await, a new task still runs exactly once", async () => {
  const deaths = await killEverywhere({
    assignment: assignmentOf(1),
    check(world, runs, where) {
      assertEquals(runs, 1, where);
      assertEquals(world.control.containers().map((c) => c.state), ["running"], where);
      assertEquals(world.server.stateOf(task), "1 running", where);
    },
  });
  assert(deaths >= 20, `only ${deaths} deaths`);
});

Deno.test("killed at any await of a restart, every start has its own attempt", async () => {
  const deaths = await killEverywhere({
    assignment: assignmentOf(1),
    async prepare(world) {
      await world.running(async () => {
        await world.until(() => world.server.stateOf(task) === "1 running", "the task to run");
      });
      world.control.kill(task);
    },
    check(world, runs, where) {
      assertEquals(runs, 2, where);
      assertEquals(world.control.containers().map((c) => c.state), ["running"], where);
      assertEquals(world.server.stateOf(task), "2 running", where);
    },
  });
  assert(deaths >= 14, `only ${deaths} deaths`);
});

Deno.test("killed at any await, a job runs exactly once and its end is told", async () => {
  const env = { SIM_RUN_MS: "20", SIM_EXIT: "0" };
  const deaths = await killEverywhere({
    assignment: assignmentOf(1, { env, restart: { condition: "on-failure" } }),
    check(world, runs, where) {
      assertEquals(runs, 1, where);
      assertEquals(world.server.stateOf(task), "1 succeeded", where);
    },
  });
  assert(deaths >= 20, `only ${deaths} deaths`);
});

Deno.test("killed at any await of a removal, the container goes and never returns", async () => {
  await killEverywhere({
    assignment: assignmentOf(1),
    async prepare(world) {
      await world.running(async () => {
        await world.until(() => world.server.stateOf(task) === "1 running", "the task to run");
      });
      world.server.assign();
    },
    check(world, runs, where) {
      assertEquals(runs, 1, where);
      assertEquals(world.control.containers(), [], where);
    },
  });
});

Deno.test("lost answers of the engine are adopted, never repeated", async () => {
  for (const operation of ["pull", "create", "start", "inspect", "list"] as const) {
    const world = createAgentWorld();
    const counter = countRuns(world);
    world.control.loseAnswer(operation);
    world.server.assign(assignmentOf(1));
    await world.running(async () => {
      await world.until(
        () => world.server.stateOf(task) === "1 running",
        `${operation} to be lost`,
      );
      await world.clock.advance(6_000);
    });
    await counter.stop();
    assertEquals(counter.runs, 1, operation);
    assertEquals(world.control.containers().length, 1, operation);
  }
});
