/**
 * How a rollout is to go in the state that it is in: what users configured, in the terms that the
 * planner works with. Pure.
 *
 * @module
 */
import type { Rollout } from "../../kv/schema/rollout.ts";
import type { Service } from "../../kv/schema/service.ts";
import type { FailureAction } from "../../kv/schema/update.ts";
import { isStrict } from "../strict.ts";

export interface Pace {
  /** Slots are being changed; otherwise all stay as they are. */
  moving: boolean;
  /** Slots that may change at the same time. */
  parallelism: number;
  delayMs: number;
  /** A slot's new task starts beside the old one. */
  startFirst: boolean;
  /** Slots that may have the goal; fewer than all before a canary is promoted. */
  limit: number;
  /** Old tasks stay, though their successors serve: the second set is not turned over to yet. */
  held: boolean;
  /** What is held is turned over to by itself once it is good. */
  turnsOver: boolean;
  drainMs: number;
  monitorMs: number;
  maxFailureRatio: number;
  failureAction: FailureAction;
  /** Infinity: none. */
  deadlineMs: number;
}

export function paceOf(
  service: Pick<Service, "update" | "rollback" | "singleton">,
  rollout: Pick<Rollout, "state" | "back" | "promoted">,
): Pace {
  const { update, rollback } = service;
  // A strict slot never has two live containers: neither forwards nor on the way back.
  const mayDouble = !isStrict(service);
  const deadlineMs = update.progressDeadlineMs === 0 ? Infinity : update.progressDeadlineMs;
  const moving = rollout.state !== "paused" && rollout.state !== "failed";
  if (rollout.back) {
    return {
      moving,
      parallelism: rollback.parallelism || Infinity,
      delayMs: rollback.delayMs,
      startFirst: mayDouble,
      limit: Infinity,
      held: false,
      turnsOver: true,
      drainMs: update.drainMs,
      monitorMs: rollback.monitorMs,
      maxFailureRatio: rollback.maxFailureRatio,
      failureAction: rollback.failureAction,
      deadlineMs,
    };
  }
  const promoted = rollout.promoted || rollout.state === "done";
  const whole = update.strategy === "bluegreen";
  return {
    moving,
    parallelism: whole ? Infinity : update.parallelism || Infinity,
    delayMs: whole ? 0 : update.delayMs,
    startFirst: mayDouble && (whole || update.order === "start-first"),
    limit: update.strategy === "canary" && !promoted ? update.canary : Infinity,
    held: whole && !promoted,
    turnsOver: update.promote === "auto",
    drainMs: update.drainMs,
    monitorMs: update.monitorMs,
    maxFailureRatio: update.maxFailureRatio,
    failureAction: update.failureAction,
    deadlineMs,
  };
}
