/**
 * What the planner decides, as data. `apply` mints the ids and turns a batch into one commit; `describe`
 * prints an action as one line, for logs and for people.
 *
 * @module
 */
import type { EventType } from "../kv/schema/event.ts";
import type { Rollout } from "../kv/schema/rollout.ts";
import type { RunCursor } from "../kv/schema/run.ts";

export type RolloutEvent = Extract<EventType, `rollout.${string}`>;

/** A new task: placed when `nodeId` is there, pending (with the reason) when it is not. */
export interface CreateTask {
  kind: "create";
  serviceId: string;
  revision: number;
  slot: number;
  nodeId?: string;
  why?: string;
  /** While it waits: the node on which room is being made for it. */
  nominated?: string;
  failures: number;
  /** The only node that may have it. */
  pin?: string;
  run?: { scheduledAt: string };
  runId?: string;
  /** Set for the first task of a run: how far the service has come with it. */
  cursor?: RunCursor;
}

/** A pending task found its node. */
export interface AssignTask {
  kind: "assign";
  taskId: string;
  nodeId: string;
}

/** A pending task still waits, for another reason or for another node than the stored one. */
export interface ExplainTask {
  kind: "explain";
  taskId: string;
  why: string;
  nominated?: string;
}

/** A live task shall stop; a pending one ends at once. */
export interface StopTask {
  kind: "stop";
  taskId: string;
  why: string;
  /** Its run is not tried again. */
  over?: true;
}

/** The task's node is down: the task is lost and its slot free. */
export interface LoseTask {
  kind: "lose";
  taskId: string;
  why: string;
}

/**
 * The task's node is cut off: its slot may get a replacement, and the task stays in the node's set, to
 * be taken back (`disconnected: false`) when the node returns.
 */
export interface DisconnectTask {
  kind: "disconnect";
  taskId: string;
  disconnected: boolean;
  why: string;
}

/** An ended task leaves the history: its rows go, and with them the container. */
export interface PurgeTask {
  kind: "purge";
  taskId: string;
  /** It is the last task of its run: what is stored about the run goes too. */
  endsRun?: true;
}

/** A time of the schedule is let go. */
export interface SkipRun {
  kind: "skip";
  serviceId: string;
  cursor: RunCursor;
  why: string;
}

/** For how long a job (slot 0) or run with a deadline has been going on is saved. */
export interface SaveElapsed {
  kind: "elapsed";
  serviceId: string;
  slot: number;
  revision: number;
  elapsedMs: number;
  /** Monotonic ms of the leader. */
  startedAtMs: number;
}

/** What the leader concludes about a node. */
export interface MarkNode {
  kind: "mark";
  nodeId: string;
  state: "ready" | "down";
  why: string;
}

/** A service's tasks keep failing on a node, and why that is thought; without `why`: no longer. */
export interface RankNode {
  kind: "rank";
  nodeId: string;
  serviceId: string;
  why?: string;
}

/**
 * A job is over for as long as its mode says: it shall be deleted. Marking it so in one commit, before its
 * tasks are purged, keeps a leader that takes over half-way from running the job again.
 */
export interface RetireService {
  kind: "retire";
  serviceId: string;
  why: string;
}

/** What the leader is to remember of a service's rollout. */
export interface SteerRollout {
  kind: "rollout";
  serviceId: string;
  row: Omit<Rollout, "at">;
  event: RolloutEvent;
}

/** A deleted service has no task left: its rows go. */
export interface RemoveService {
  kind: "remove";
  serviceId: string;
}

export type Action =
  | CreateTask
  | AssignTask
  | ExplainTask
  | StopTask
  | LoseTask
  | DisconnectTask
  | PurgeTask
  | SkipRun
  | SaveElapsed
  | MarkNode
  | RankNode
  | SteerRollout
  | RetireService
  | RemoveService;

/** What the planner looks at. Everything else is left as it is. */
export interface Scope {
  services: Iterable<string>;
  nodes: Iterable<string>;
}

export interface PlanOptions {
  /** Silence in ms after which a node is down. */
  nodeTtlMs: number;
  /** Up to when the nodes' beats are known, in monotonic ms; absent: up to now. */
  heardMs?: number;
  /** About how many actions to return at the most; more are left for the next call. */
  limit: number;
  /** Ended tasks kept per service, beside the last one of each wanted slot. */
  historyLimit: number;
  /** Wall-clock time in Unix ms, for schedules; without it none is looked at. */
  wallMs?: number;
}

export interface Plan {
  actions: Action[];
  /** True when something is left to plan once these actions are applied. */
  more: boolean;
  /**
   * Services to plan again once the actions are applied: those that `limit` cut, those that were not
   * looked at for it, and those of which a slot becomes free by the actions themselves.
   */
  unfinished: string[];
  /**
   * By service or node id: the monotonic ms at which it wants to be planned again; now or earlier for a
   * node that `limit` cut.
   */
  wakes: Map<string, number>;
}

/** One line for people. */
export function describe(action: Action): string {
  switch (action.kind) {
    case "create":
      return `create ${action.serviceId}.${action.slot} r${action.revision} ` +
        (action.nodeId ? `on ${action.nodeId}` : `pending: ${action.why ?? ""}`);
    case "assign":
      return `assign ${action.taskId} to ${action.nodeId}`;
    case "explain":
      return `explain ${action.taskId}: ${action.why}`;
    case "stop":
      return `stop ${action.taskId}: ${action.why}`;
    case "lose":
      return `lose ${action.taskId}: ${action.why}`;
    case "disconnect":
      return `${action.disconnected ? "disconnect" : "reconnect"} ${action.taskId}: ${action.why}`;
    case "purge":
      return `purge ${action.taskId}`;
    case "skip":
      return `skip ${action.serviceId} ${action.cursor.lastScheduledAt ?? ""}: ${action.why}`;
    case "elapsed":
      return `elapsed ${action.serviceId}.${action.slot} ${Math.round(action.elapsedMs)} ms`;
    case "mark":
      return `mark ${action.nodeId} ${action.state}: ${action.why}`;
    case "rank":
      return `rank ${action.nodeId} for ${action.serviceId} ` +
        (action.why === undefined ? "as others" : `last: ${action.why}`);
    case "rollout":
      return `${action.event} ${action.serviceId} r${action.row.revision}` +
        (action.row.why === undefined ? "" : `: ${action.row.why}`);
    case "retire":
      return `retire ${action.serviceId}: ${action.why}`;
    case "remove":
      return `remove ${action.serviceId}`;
  }
}
