/**
 * The checker: reads the history of a simulation and says what in it must not be. It shares no code
 * with the program; every rule is an entry of the table, with a file of its own.
 *
 * @module
 */
import { type Commit, Facts } from "./facts.ts";
import { agents } from "./rules/agents.ts";
import { calm } from "./rules/calm.ts";
import { capacity } from "./rules/capacity.ts";
import { data, type Filled, misfilled } from "./rules/data.ts";
import { convergence } from "./rules/convergence.ts";
import { leadership } from "./rules/leadership.ts";
import { operations } from "./rules/operations.ts";
import { placement } from "./rules/placement.ts";
import { preemption } from "./rules/preemption.ts";
import { reports, type ServiceReport } from "./rules/reports.ts";
import { runs } from "./rules/runs.ts";
import { slots } from "./rules/slots.ts";
import { strict } from "./rules/strict.ts";
import { taskLife } from "./rules/task_life.ts";
import { told } from "./rules/told.ts";
import { writes } from "./rules/writes.ts";

/** A request that reached a replica. */
export interface Delivery {
  caller: string;
  /** The caller's process; absent for a user. */
  process?: string;
  replica: string;
  sent: { method: string; path: string; headers: [string, string][]; body: string };
}

export interface Answer {
  status: number;
  headers: [string, string][];
  body: string;
}

export interface EngineHappening {
  node: string;
  nodeId: string;
  event: "create" | "start" | "exit" | "remove";
  taskId: string;
  /** The container's, by its digest if it has one; absent when the container is gone. */
  image?: string;
}

export interface Ending {
  node: string;
  nodeId: string;
  /** The agent's. */
  process: string;
  taskId: string;
}

/** What the engines hold when all is quiet. */
export interface FinalNode {
  name: string;
  nodeId: string;
  containers: { taskId: string; nodeId: string; state: string }[];
}

export interface RuleContext {
  facts: Facts;
  /** Virtual time. */
  nowMs(): number;
  /** Says what was broken. */
  broken(problem: string): void;
}

/** What a rule looks at. Commits are seen after their changes are in the facts. */
export interface Rule {
  commit?(commit: Commit): void;
  requestBegins?(delivery: Delivery): void;
  requestEnds?(delivery: Delivery, answer: Answer | undefined): void;
  answerReceived?(delivery: Delivery, answer: Answer): void;
  engine?(happening: EngineHappening): void;
  /** An agent asks its engine to stop or remove a container that runs. */
  agentEnds?(ending: Ending): void;
  /** The agent of a node loses its state. */
  forgets?(nodeId: string): void;
  /** A process stands still. */
  stalled?(name: string, times: { fromMs: number; toMs: number }): void;
  /** From now on nothing goes wrong, and what went wrong before is over. */
  allIsWell?(): void;
}

/** Every rule, by the invariant that it watches. */
const RULES: Record<string, (context: RuleContext) => Rule> = {
  "acknowledged writes": writes,
  "capacity and ports": capacity,
  "one task a slot": slots,
  "one container a strict slot": strict,
  "nodes have what they may": placement,
  "configs, secrets, volumes": data,
  "restarts, removals, credentials": operations,
  "priorities": preemption,
  "runs": runs,
  "task states": taskLife,
  "one leader writes, the log has no gaps": leadership,
  "what nodes report is in the log": told,
  "agents do as they are told": agents,
  "nothing stops because of the control plane": calm,
};

/** What a run may break: the rules, and what is looked at in the end. */
export const INVARIANTS: readonly string[] = [
  ...Object.keys(RULES),
  ...["schedules", "convergence", "reports"],
];

export interface Checker extends Required<Rule> {
  /** What keeps the cluster from having come to rest as its users asked. Empty: nothing. */
  unsettled(nodes: readonly FinalNode[]): string[];
  /** Services of which users are told something else than what is so, once all is at rest. */
  misreported(views: readonly ServiceReport[]): string[];
  /** Containers with other values than they are to have. */
  misfilled(containers: readonly Filled[]): string[];
  /** Whether a user removed this node. */
  wasRemoved(nodeId: string): boolean;
  /** The rows, for a comparison with the database. */
  facts: Facts;
}

/** `fail` is told the first time that a rule is broken, and every further time. */
export function createChecker(nowMs: () => number, fail: (problem: string) => void): Checker {
  const facts = new Facts();
  const rules = Object.entries(RULES).map(([invariant, make]) =>
    make({ facts, nowMs, broken: (problem) => fail(`${invariant}: ${problem}`) })
  );
  return {
    facts,
    wasRemoved: (nodeId) => facts.wasRemoved(nodeId),
    commit(commit) {
      facts.noteQueue();
      for (const change of commit.changes) facts.apply(change);
      for (const rule of rules) rule.commit?.(commit);
    },
    requestBegins: (delivery) => rules.forEach((rule) => rule.requestBegins?.(delivery)),
    requestEnds: (delivery, answer) =>
      rules.forEach((rule) => rule.requestEnds?.(delivery, answer)),
    answerReceived: (delivery, answer) =>
      rules.forEach((rule) => rule.answerReceived?.(delivery, answer)),
    engine: (happening) => rules.forEach((rule) => rule.engine?.(happening)),
    agentEnds: (ending) => rules.forEach((rule) => rule.agentEnds?.(ending)),
    forgets: (nodeId) => rules.forEach((rule) => rule.forgets?.(nodeId)),
    stalled: (name, times) => rules.forEach((rule) => rule.stalled?.(name, times)),
    allIsWell: () => rules.forEach((rule) => rule.allIsWell?.()),
    unsettled: (nodes) => convergence(facts, nodes),
    misreported: (views) => reports(facts, views),
    misfilled: (containers) => misfilled(facts, containers),
  };
}

/** What a commit did, as lines for the history: the records of the log, observed states, and what users wrote. */
export function describe({ by, changes }: Commit): string[] {
  const lines: string[] = [];
  for (const { key, after } of changes) {
    const [kind, id] = key;
    if (after === undefined) continue;
    if (kind === "log") {
      const { epoch, events } = after as { epoch: number; events: Record<string, unknown>[] };
      for (const { type, ...rest } of events) {
        lines.push(`${by} log ${id} e${epoch} ${type} ${JSON.stringify(rest)}`);
      }
    } else if (kind === "observed") {
      const { state, attempt, message } = after as Record<string, unknown>;
      lines.push(`${by} observed ${id} ${attempt}/${state} ${message ?? ""}`);
    } else if (kind === "service" || kind === "node_spec") {
      lines.push(`${by} ${kind} ${id} ${JSON.stringify(after)}`);
    }
  }
  return lines;
}
