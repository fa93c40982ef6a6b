/**
 * After the bad time: nothing goes wrong any more, users finish what they began, and the cluster must
 * come to rest as they asked, and stay there.
 *
 * @module
 */
import type { FinalNode } from "./checker.ts";
import type { ServiceRow } from "./facts.ts";
import type { ServiceReport } from "./rules/reports.ts";
import { lapsed } from "./rules/schedules.ts";
import { type Sim, Violation } from "./sim.ts";
import { isBroken, templateOf, withTemplate } from "./specs.ts";

/** Virtual time in which a cluster without faults must come to rest. */
const REST_MS = 100_000;
/** What the last faults left behind (agents that wait, leases that run out) is over by then. */
const AFTERMATH_MS = 16_000;
/** It must stay at rest for so long. */
const CALM_MS = 6_000;
const ANSWER_MS = 30_000;
/** Users look after their services this often. */
const CARE_MS = 4_000;

export async function rest(sim: Sim, restMs: number = REST_MS): Promise<void> {
  sim.note("healed");
  if (sim.random("rest").chance(0.5)) openNodes(sim);
  const endMs = sim.timeline.nowMs + restMs;
  for (let waitedMs = 0; waitedMs < AFTERMATH_MS; waitedMs += CARE_MS) {
    care(sim);
    await sim.pass(CARE_MS);
  }
  sim.checker.allIsWell();
  const late = lapsed(sim.checker.facts, sim.wallMs());
  if (late.length > 0) throw new Violation(`schedules: ${late.join("; ")}`);
  stopSchedules(sim);
  await comeToRest(sim, endMs);
  await answers(sim);
}

async function comeToRest(sim: Sim, endMs: number): Promise<void> {
  let calmSinceMs: number | undefined;
  let problems = ["nothing was looked at"];
  for (let second = 0; sim.timeline.nowMs < endMs; second++) {
    if (second % (CARE_MS / 1000) === 0) care(sim);
    await sim.pass(1000);
    problems = sim.checker.unsettled(finalNodes(sim));
    if (problems.length > 0) calmSinceMs = undefined;
    else if (calmSinceMs === undefined) calmSinceMs = sim.timeline.nowMs;
    else if (sim.timeline.nowMs - calmSinceMs >= CALM_MS) return;
  }
  throw new Violation(`convergence: ${problems.slice(0, 5).join("; ")}`);
}

function openNodes(sim: Sim): void {
  for (const { name, nodeId } of sim.nodes) {
    if (nodeId === undefined) continue;
    void sim.user.ask(`opens ${name}`, (client) => client.putNodeSpec(name, {}));
  }
}

/** Users go on with rollouts that wait for them, and take back what cannot succeed. */
function care(sim: Sim): void {
  void sim.poison.retryParked();
  const { facts } = sim.checker;
  for (const service of facts.services()) {
    if (service.mode.type !== "replicated" || service.deleting || service.stopped) continue;
    const template = facts.template(service.id, service.revision);
    const goal = facts.template(service.id, facts.goal(service));
    const rollout = facts.rollout(service.id);
    const state = rollout?.revision === service.revision ? rollout.state : "done";
    const broken = template !== undefined && isBroken(template);
    const waits = ["paused", "waiting-promote"].includes(state);
    if (state === "failed" || goal && isBroken(goal) && !waits) repair(sim, service);
    else if (waits && broken) {
      // Somebody else may have the ports of the revision before.
      void steer(sim, service, "undo").then((done) => done ?? repair(sim, service));
    } else if (waits) void steer(sim, service, state === "paused" ? "resume" : "promote");
  }
}

function steer(sim: Sim, { name }: ServiceRow, action: "undo" | "resume" | "promote") {
  return sim.user.ask(
    `${action}s the rollout of ${name} at last`,
    (client) => client.steerRollout(name, { action }),
  );
}

function repair(sim: Sim, { name }: ServiceRow): void {
  const known = sim.user.services.get(name);
  if (!known) return;
  const template = templateOf(sim.random("repair"));
  known.spec = { ...withTemplate(known.spec, template), stopped: false };
  const { spec } = known;
  void sim.user.ask(`repairs ${name}`, (client) => client.putService(name, spec));
}

/** Schedules never come to rest. */
function stopSchedules(sim: Sim): void {
  for (const { name, mode, stopped } of sim.checker.facts.services()) {
    const known = sim.user.services.get(name);
    if (mode.type !== "cron" || stopped) continue;
    if (!known) {
      // Its creation was never answered.
      void sim.user.ask(`deletes ${name}`, (client) => client.deleteService(name));
      continue;
    }
    const spec = { ...known.spec, stopped: true };
    void sim.user.ask(`stops ${name}`, (client) => client.putService(name, spec));
  }
}

/** Users are told what is so. */
async function answers(sim: Sim): Promise<void> {
  let views: ServiceReport[] | undefined;
  void sim.user.ask("lists the services", (client) => client.listServices({ limit: 100 }))
    .then((page) => views = page?.items);
  await sim.pass(ANSWER_MS, () => views !== undefined);
  const problems = views ? sim.checker.misreported(views) : ["the services cannot be listed"];
  if (problems.length > 0) throw new Violation(`reports: ${problems.join("; ")}`);
  const filled = sim.nodes.flatMap(({ control }) =>
    control.containers().flatMap(({ taskId, state }) =>
      state === "running" ? [{ taskId, files: control.files(taskId) }] : []
    )
  );
  const [missing] = sim.checker.misfilled(filled);
  if (missing !== undefined) throw new Violation(`configs, secrets, volumes: ${missing}`);
}

function finalNodes(sim: Sim): FinalNode[] {
  return sim.nodes.map(({ name, nodeId = "", control }) => ({
    name,
    nodeId,
    containers: control.containers(),
  }));
}
