/**
 * Agents do what they are told, and are told the truth.
 *
 * - A poll's answer of a version has all that was decided up to it.
 * - A container that runs is ended by its agent only if the newest answer that the agent got does not
 *   want it any more, its probes say that it is not well, or it may not go on without the control plane
 *   and there was none for that long. What it decided before it stood still it does when it goes on; and
 *   a poll that it was about to send then counts for it from when it meant to.
 * - A container is made on the task's node only, and is not started once the task has ended: unless the
 *   agent has lost its state, because what it reported before may come in after it began anew.
 *
 * @module
 */
import type { Answer, Delivery, Rule, RuleContext } from "../checker.ts";
import { isEnd, type TaskRow } from "../facts.ts";

interface Told {
  /** The agent's process: the next one may not know what this one was told. */
  process: string | undefined;
  version: number;
  desired: Map<string, string>;
}

/** When the polls came in whose answers a process got; see `contact` and `known`. */
interface Heard {
  contactMs: number | undefined;
  knownMs: number | undefined;
}

interface Stall {
  fromMs: number;
  toMs: number;
  heard: Heard;
}

interface PollAnswer {
  version: number;
  /** So long before this poll came the newest one of which the leader can know. */
  unheardMs?: number;
  assignments?: { taskId: string; desired: string }[];
}

/** The TTL of the simulated clusters, and of it what a strict task may go on without contact. */
const TTL_MS = 6_000;
const STRICT_MS = TTL_MS - 1_500 - 500;
/** A request's way to the replica. */
const LATENCY_MS = 50;

export function agents({ facts, broken, nowMs }: RuleContext): Rule {
  const began = new WeakMap<Delivery, number>();
  /** By process: when the last request came in whose answer it got. */
  const contact = new Map<string, number>();
  /** The same, of which the leader can know: strict tasks go by that. */
  const known = new Map<string, number>();
  /** By process: its last stand-still, and what it had heard by then. */
  const stalls = new Map<string, Stall>();
  const told = new Map<string, Told>();
  /** At which seq of the log a task was given to its node, and taken back or told to stop. */
  const given = new Map<string, number>();
  const taken = new Map<string, number>();
  const nodeOf = new Map<string, string>();
  /** Tasks that had not ended when their agent lost its state. */
  const forgotten = new Set<string>();

  /** The answer that was looked at last: it is looked at again when it is received. */
  let parsed: { body: string; value: PollAnswer } | undefined;

  function answerOf(delivery: Delivery, answer: Answer): [string, PollAnswer] | undefined {
    const nodeId = /\/v1\/nodes\/([^/]+)\/assignments/.exec(delivery.sent.path)?.[1];
    if (!nodeId || answer.status !== 200) return undefined;
    if (parsed?.body === answer.body) return [nodeId, parsed.value];
    parsed = { body: answer.body, value: JSON.parse(answer.body) };
    return [nodeId, parsed.value];
  }

  /** Whether the agent may end, by itself, a container that it was told to run. */
  function mayEnd(process: string, taskId: string): boolean {
    const task = facts.task(taskId);
    const service = task && facts.service(task.serviceId);
    if (!task || !service || facts.isStale("service", service.id)) return true;
    if (facts.template(service.id, task.revision)?.health !== undefined) return true;
    const strictMs = service.singleton === "strict" ? STRICT_MS : Infinity;
    const stopAfterMs = service.disconnect?.stopAfterMs ?? Infinity;
    const over = (sinceMs: number | undefined, limitMs: number, atMs: number) =>
      limitMs < Infinity &&
      (sinceMs === undefined || atMs - sinceMs >= limitMs - LATENCY_MS);
    const mightAt = (atMs: number, { contactMs, knownMs }: Heard) =>
      over(knownMs, strictMs, atMs) || over(contactMs, stopAfterMs, atMs);
    const stall = stalls.get(process);
    return mightAt(nowMs(), heardBy(process)) ||
      (stall !== undefined && nowMs() - stall.toMs <= LATENCY_MS &&
        mightAt(stall.fromMs, stall.heard));
  }

  /** From when, for its agent, a poll counts that came in then. */
  function meantMs(process: string, cameMs: number): number {
    const stall = stalls.get(process);
    const sentAfter = stall && cameMs >= stall.toMs && cameMs - stall.toMs <= LATENCY_MS;
    return sentAfter ? stall.fromMs : cameMs;
  }

  function heardBy(process: string): Heard {
    return { contactMs: contact.get(process), knownMs: known.get(process) };
  }

  return {
    commit({ changes }) {
      const seq = changes.find(({ key }) => key[0] === "log")?.key[1];
      for (const { key, before, after } of changes) {
        if (key[0] === "assign") {
          const taskId = String(key[2]);
          (after === undefined ? taken : given).set(taskId, Number(seq ?? Infinity));
        }
        if (key[0] !== "task" || after === undefined) continue;
        const task = after as TaskRow;
        if (task.nodeId !== undefined) nodeOf.set(task.id, task.nodeId);
        const wasRun = (before as TaskRow | undefined)?.desired !== "stop";
        if (task.desired === "stop" && wasRun && !taken.has(task.id)) {
          taken.set(task.id, Number(seq ?? Infinity));
        }
      }
    },
    requestEnds(delivery, answer) {
      const found = answer && answerOf(delivery, answer);
      if (!found) return;
      const [nodeId, { version, assignments }] = found;
      if (!assignments) return;
      const listed = new Map(assignments.map(({ taskId, desired }) => [taskId, desired]));
      for (const [taskId, desired] of listed) {
        if (nodeOf.get(taskId) !== nodeId) {
          broken(`${delivery.caller} is told of foreign ${taskId}`);
        }
        if (desired === "run" && (taken.get(taskId) ?? Infinity) <= version) {
          broken(`${delivery.caller}: the answer of version ${version} still wants ${taskId}`);
        }
      }
      for (const task of facts.live()) {
        if (task.nodeId !== nodeId || task.desired !== "run") continue;
        if ((given.get(task.id) ?? Infinity) <= version && listed.get(task.id) !== "run") {
          broken(`${delivery.caller}: the answer of version ${version} lacks task ${task.id}`);
        }
      }
    },
    answerReceived(delivery, answer) {
      const found = answerOf(delivery, answer);
      if (!found) return;
      const [nodeId, { version, assignments, unheardMs = 0 }] = found;
      const { process } = delivery;
      if (process !== undefined) {
        const cameMs = began.get(delivery) ?? nowMs();
        contact.set(process, cameMs);
        const knownMs = meantMs(process, cameMs) - unheardMs;
        known.set(process, Math.max(knownMs, known.get(process) ?? -Infinity));
      }
      const before = told.get(nodeId);
      if (!assignments || before && before.process === process && version < before.version) return;
      told.set(nodeId, {
        process,
        version,
        desired: new Map(assignments.map(({ taskId, desired }) => [taskId, desired])),
      });
    },
    stalled: (name, times) => void stalls.set(name, { ...times, heard: heardBy(name) }),
    forgets(nodeId) {
      for (const [taskId, of] of nodeOf) {
        if (of === nodeId && !isEnd(facts.observed(taskId)?.state ?? "")) forgotten.add(taskId);
      }
    },
    requestBegins: (delivery) => void began.set(delivery, nowMs()),
    agentEnds({ node, nodeId, process, taskId }) {
      if (told.get(nodeId)?.desired.get(taskId) === "run" && !mayEnd(process, taskId)) {
        broken(`${node} ends the container of task ${taskId}, which it was told to run`);
      }
    },
    engine({ node, nodeId, event, taskId }) {
      if (event === "create" && nodeOf.get(taskId) !== nodeId) {
        broken(`${node} makes a container for task ${taskId} of node ${nodeOf.get(taskId)}`);
      }
      if (event !== "start" || forgotten.has(taskId)) return;
      const observed = facts.observed(taskId);
      if (observed && isEnd(observed.state)) {
        broken(`${node} starts task ${taskId}, which is ${observed.state}`);
      }
    },
  };
}
