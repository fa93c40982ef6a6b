/**
 * Rollouts acted out on a planner's world: time passes, containers start, break and stop.
 *
 * @module
 */
import type { z } from "zod";
import type { Rollout } from "../../kv/schema/rollout.ts";
import type { RollbackConfig, UpdateConfig } from "../../kv/schema/update.ts";
import type { Action } from "../../scheduler/action.ts";
import type { TaskRecord, World } from "../../scheduler/world.ts";
import { putRolloutRequest } from "../../scheduler/world_changes.ts";
import {
  addService,
  applyActions,
  counter,
  idOf,
  nodes,
  planAll,
  report,
  type ServiceInput,
  world,
} from "./world.ts";

export interface Act {
  made: World;
  nowMs(): number;
  /** Plans and applies until nothing is left to do now; answers what was done. */
  plan(): Action[];
  /** Plans, lets every container follow, and again, until nothing changes now. */
  follow(): Action[];
  /** Lets this much time pass, then follows. */
  pass(ms: number): Action[];
  /** What the containers of a revision do when they are started; they run unless told. */
  behave(revision: number, does: "run" | "fail" | "hang"): void;
  /** One container at most does what it shall, chosen by `pick`; false when none has anything to do. */
  step(pick: number): boolean;
  put(input: Omit<ServiceInput, "name">): void;
  ask(want: "run" | "pause" | "promote"): void;
  rollout(): Rollout | undefined;
  /** Tasks that serve and shall go on, as `slot r revision`, by slot. */
  serving(): string[];
  /** Live tasks, as `slot r revision state`, with `!` when they shall stop. */
  live(): string[];
}

export interface Given {
  replicas: number;
  update?: z.input<typeof UpdateConfig>;
  rollback?: z.input<typeof RollbackConfig>;
  template?: ServiceInput["template"];
  nodes?: number;
  /** Told after each applied plan and each step of a container. */
  watch?: (act: Act, actions: readonly Action[]) => void;
}

const ROUNDS = 300;

/** A service `web` of which revision 1 runs whole, at 1,000 ms. */
export function act(given: Given): Act {
  const { replicas, update = {}, rollback = {}, template = {} } = given;
  const made = world({ nodes: nodes(given.nodes ?? 3, { cpus: 64 }) });
  const newId = counter();
  const behaviour = new Map<number, "run" | "fail" | "hang">();
  let nowMs = 1000;
  let requests = 0;
  const last = { replicas, update, rollback, template, revision: 1 };
  const tasks = () => [...made.tasks.values()].filter(({ endedAtMs }) => endedAtMs === undefined);
  const due = ({ task, state }: TaskRecord) =>
    state !== "pending" && (task.desired === "stop" ||
      (state !== "running" && (state === "assigned" || behaviour.get(task.revision) !== "hang")));
  const advance = ({ task, state }: TaskRecord) => {
    const does = behaviour.get(task.revision) ?? "run";
    if (task.desired === "stop") report(made, task.id, "stopped", nowMs);
    else if (state === "assigned") report(made, task.id, "starting", nowMs);
    else if (does === "run") report(made, task.id, "running", nowMs);
    else if (does === "fail") report(made, task.id, "failed", ++nowMs, 5);
  };
  const self: Act = {
    made,
    nowMs: () => nowMs,
    plan() {
      const done: Action[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const { actions } = planAll(made, { nowMs, nodeTtlMs: 1e9 });
        if (actions.length === 0) return done;
        applyActions(made, actions, newId, nowMs);
        done.push(...actions);
        given.watch?.(self, actions);
      }
      throw new Error("planning does not come to rest");
    },
    follow() {
      const done: Action[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        done.push(...self.plan());
        const busy = tasks().filter(due);
        if (busy.length === 0) return done;
        for (const task of busy) advance(task);
        given.watch?.(self, []);
      }
      throw new Error("does not come to rest");
    },
    pass(ms) {
      nowMs += ms;
      return self.follow();
    },
    behave: (revision, does) => void behaviour.set(revision, does),
    step(pick) {
      const busy = tasks().filter(due);
      const chosen = busy[pick % Math.max(1, busy.length)];
      if (!chosen) return false;
      advance(chosen);
      given.watch?.(self, []);
      return true;
    },
    put(input) {
      Object.assign(last, input);
      addService(made, { name: "web", ...last });
    },
    ask(want) {
      const id = `r${++requests}`;
      putRolloutRequest(made, idOf("web"), { id, revision: last.revision, want });
    },
    rollout: () => made.services.get(idOf("web"))?.rollout,
    serving: () =>
      bySlot(tasks().filter(({ task, state }) => state === "running" && task.desired === "run"))
        .map(({ task }) => `${task.slot} r${task.revision}`),
    live: () =>
      bySlot(tasks()).map(({ task, state }) =>
        `${task.slot} r${task.revision} ${state}${task.desired === "stop" ? "!" : ""}`
      ),
  };
  addService(made, { name: "web", ...last });
  self.follow();
  return self;
}

function bySlot(tasks: TaskRecord[]): TaskRecord[] {
  return tasks.sort((a, b) => a.task.slot - b.task.slot || (a.task.id < b.task.id ? -1 : 1));
}

/** The id of the one live task of a slot. */
export function taskIn({ made }: Act, slot: number): string {
  const [found, ...more] = [...made.tasks.values()].filter(({ task, endedAtMs }) =>
    task.slot === slot && endedAtMs === undefined
  );
  if (!found || more.length > 0) throw new Error(`slot ${slot} has not one live task`);
  return found.task.id;
}

/** Lets time pass in steps until the rollout is in this state. */
export function passUntil(acted: Act, state: Rollout["state"], stepMs = 500): void {
  for (let step = 0; step < 2000; step++) {
    if (acted.rollout()?.state === state) return;
    acted.pass(stepMs);
  }
  throw new Error(`the rollout is ${acted.rollout()?.state}, not ${state}`);
}

/** How many tasks are stopped. */
export function stops(actions: readonly { kind: string }[]): number {
  return actions.filter(({ kind }) => kind === "stop").length;
}
