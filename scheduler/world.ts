/**
 * The world that the planner sees: the leader's copy of the stored rows, indexed. It is changed only
 * by the functions of world_changes.ts.
 *
 * @module
 */
import type { Node, NodeSpec, NodeStatus } from "../kv/schema/node.ts";
import type { Rollout, RolloutRequest } from "../kv/schema/rollout.ts";
import type { Elapsed, Run, RunCursor } from "../kv/schema/run.ts";
import type { Service, StrategyName, TaskTemplate } from "../kv/schema/service.ts";
import type { Observed, Task } from "../kv/schema/task.ts";
import type { TaskState } from "../kv/schema/task_state.ts";
import type { SlotIndex } from "./slots.ts";
import type { VolumeRecord } from "./volumes.ts";

export { demandOf, hostPortsOf } from "./holdings.ts";

/** A task with both of its rows and its derived state. */
export interface TaskRecord {
  task: Task;
  observed?: Observed;
  state: TaskState;
  /** Monotonic ms at which the leader learned that it ended; set once. */
  endedAtMs?: number;
  /** Monotonic ms since which it serves without a restart, as far as this leader saw. */
  servingSinceMs?: number;
  /** Monotonic ms at which it first broke, by ending or by a restart, and how long it had served. */
  brokeAtMs?: number;
  brokeAfterMs?: number;
}

/** A node with its three rows and what its tasks hold of it. */
export interface NodeRecord {
  node: Node;
  spec: NodeSpec;
  /** Absent until the leader first concluded something. */
  status?: NodeStatus;
  /** Labels of the agent, overridden by those that users set. */
  labels: Record<string, string>;
  /** Monotonic ms of the newest beat; a new leader starts every node with a fresh grace period. */
  lastSeenMs: number;
  /** Monotonic ms at which this leader first knew it: it may have beaten until then. */
  knownSinceMs: number;
  /** Monotonic ms since which it is being drained, as far as this leader knows. */
  drainSinceMs?: number;
  /** The same of its taints that drive tasks out, by `taintText`. */
  taintSinceMs: Map<string, number>;
  /** Sum of the reservations of the tasks that hold the node, in thousandths of a core and MiB. */
  usedMilliCpus: number;
  usedMemoryMiB: number;
  usedGpus: number;
  /** Another object after each change of what tasks hold of it. */
  mark: object;
  /** Ids of the tasks that hold the node: assigned to it and not ended. */
  holding: Set<string>;
  /** Ids of its tasks that have ended and are kept as history. */
  ended: Set<string>;
  /** Host ports that they hold, as `tcp/8080`, with the task that holds each. */
  ports: Map<string, string>;
  /** How many of them belong to each service. */
  perService: Map<string, number>;
  /** The world's `placements` when a task was last placed here: for round-robin. */
  lastPlacedAt: number;
}

export interface ServiceRecord {
  service: Service;
  templates: Map<number, TaskTemplate>;
  /** The revision that slots are to have. */
  goal: number;
  rollout?: Rollout;
  /** Monotonic ms at which this leader last changed, or read, the rollout. */
  rolloutSinceMs: number;
  request?: RolloutRequest;
  /** Ids of tasks that users want replaced; those that stop or have ended mean nothing. */
  restarts: readonly string[];
  /** Tasks that have not ended, by slot and id. More than one a slot only while one is replaced. */
  live: Map<number, TaskRecord[]>;
  /** Ended tasks that are kept as history, by slot, oldest first. */
  ended: Map<number, TaskRecord[]>;
  /** How many of the live tasks wait for a node. */
  pending: number;
  /** Another object after each change of its tasks. */
  mark: object;
  /** Monotonic ms of the newest own failures of its tasks, by node: those that this leader saw. */
  failuresMs: Map<string, number[]>;
  /** Where the slots stand, derived from all of the above. */
  slots: SlotIndex;
  /** Runs that users asked for, by id. */
  runs: Map<string, Run>;
  cursor?: RunCursor;
  /** By slot (0: the whole job): since when what has a deadline goes on. */
  elapsed: Map<number, Stopwatch>;
}

export interface Stopwatch extends Elapsed {
  /** Monotonic ms of this leader; `elapsedMs` is what was saved last. */
  startedAtMs: number;
}

export interface World {
  strategy: StrategyName;
  nodes: Map<string, NodeRecord>;
  /** Ids of the nodes that are not ready, whatever else they are. */
  unready: Set<string>;
  services: Map<string, ServiceRecord>;
  tasks: Map<string, TaskRecord>;
  /** Ids of the services, by `project/name`. */
  names: Map<string, string>;
  /** Named volumes, by `project/name`. */
  volumes: Map<string, VolumeRecord>;
  /** The nodes that have them, by the same key: ids, and names (of removed nodes, too). */
  volumeNodes: Map<string, Map<string, string>>;
  /** Ids of the services that keep others away from their tasks. */
  repellers: Set<string>;
  /** Counts placements; orders nodes for round-robin. */
  placements: number;
  /** The greatest id of all tasks that were seen; empty before the first. */
  lastTaskId: string;
  /** Monotonic ms at which the world was loaded. */
  loadedMs: number;
  /** Monotonic ms at which tasks were last given up as lost. */
  lastLossMs: number;
  /** Nodes that were removed while this leader led, and the monotonic ms of it. */
  removedMs: Map<string, number>;
}

export function emptyWorld(strategy: StrategyName = "spread", loadedMs = 0): World {
  return {
    strategy,
    nodes: new Map(),
    unready: new Set(),
    services: new Map(),
    tasks: new Map(),
    names: new Map(),
    volumes: new Map(),
    volumeNodes: new Map(),
    repellers: new Set(),
    placements: 0,
    lastTaskId: "",
    loadedMs,
    lastLossMs: -Infinity,
    removedMs: new Map(),
  };
}
