/**
 * Stories about strict singletons: how their node may be lost without anybody knowing.
 *
 * @module
 */
import { Detour, type Story } from "../run.ts";
import type { SimNode } from "../node.ts";
import type { Sim } from "../sim.ts";
import { create, leader, MACHINE, running, serviceOf, until } from "./story.ts";

/** Longer than any lease, wait and start of a replacement. */
const AWAY_MS = 14_000;

/** A strict singleton runs, and `harm` comes to its node. */
function singleton(harm: (sim: Sim, node: SimNode) => void | Promise<void>): Story {
  return {
    replicas: 2,
    nodes: [MACHINE, MACHINE],
    async run(sim) {
      await create(sim, serviceOf("x1", { singleton: "strict" }));
      // On the other node, whose polls are then as frequent.
      await create(sim, serviceOf("x2", { singleton: "strict" }));
      for (const name of ["x1", "x2"]) {
        await until(sim, `${name} runs`, () => running(sim, name).length === 1);
      }
      await sim.pass(2_500);
      const [found] = running(sim, "x1");
      if (!found) throw new Detour("the singleton does not run any more");
      await harm(sim, found.node);
      await sim.pass(AWAY_MS);
    },
  };
}

export const STRICT_STORIES = {
  /** The node of a strict singleton is cut off. */
  cutOff: singleton((sim, { cut }) => {
    cut.toMs = cut.fromMs = sim.timeline.nowMs + AWAY_MS;
  }),
  /** The node of a strict singleton is drained, cannot stop it, and is cut off. */
  leaving: singleton(async (sim, { name, cut, control }) => {
    control.setAvailable(false);
    void sim.user.ask("drains it", (client) => client.putNodeSpec(name, { availability: "drain" }));
    await sim.pass(1_500);
    cut.toMs = cut.fromMs = sim.timeline.nowMs + AWAY_MS;
  }),
  /** The node of a strict singleton hears nothing. */
  deaf: singleton((sim, { cut }) => {
    cut.fromMs = sim.timeline.nowMs + AWAY_MS;
  }),
  /** The node of a strict singleton is not heard. */
  unheard: singleton((sim, { cut }) => {
    cut.toMs = sim.timeline.nowMs + AWAY_MS;
  }),
  /** The agent of a strict singleton freezes. */
  freezes: singleton((_, { process }) => {
    process?.stall(AWAY_MS);
  }),
  /** The agent of a strict singleton dies, and its node is cut off. */
  dies: singleton((sim, node) => {
    node.cut.toMs = node.cut.fromMs = sim.timeline.nowMs + AWAY_MS;
    node.process?.die("kill -9");
  }),
  /** A strict singleton's node reaches only a replica that is cut off from the database. */
  severed: singleton(
    async (sim, { cut }) => {
      const other = sim.replicas.find((replica) => replica !== leader(sim));
      cut.only = other?.name ?? "";
      cut.onlyMs = sim.timeline.nowMs + AWAY_MS + 5_000;
      // How new it is what that replica believes of the node's token differs.
      await sim.pass(sim.random("story").between(4_000, 9_000));
      if (other?.process) other.process.severedUntilMs = cut.onlyMs;
    },
  ),
  /** A strict singleton's leader dies while its node is cut off. */
  leaderDies: singleton(async (sim, { cut }) => {
    cut.toMs = cut.fromMs = sim.timeline.nowMs + AWAY_MS;
    await sim.pass(3_000);
    leader(sim)?.process?.die("kill -9");
  }),
};
