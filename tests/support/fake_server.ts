/**
 * A control plane for agents under test: it holds one node's assignments and takes its reports, in
 * memory, and checks that what it is told only ever advances.
 *
 * @module
 */
import type { CallError } from "../../api/client.ts";
import type { Assignment, PollResponse, TunnelRequest } from "../../kv/schema/agent.ts";
import type { PullLogin } from "../../kv/schema/registry.ts";
import type { TaskFilesView } from "../../kv/schema/sealed.ts";
import { TaskTemplate } from "../../kv/schema/service.ts";
import type { Observed } from "../../kv/schema/task.ts";
import { advances } from "../../kv/schema/task_state.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { AgentClient } from "../../worker/agent.ts";
import { idOf } from "./ids.ts";

/** The n-th task: runs until it is stopped, unless the template says otherwise. */
export function assignmentOf(
  n: number,
  template: Partial<Parameters<typeof TaskTemplate.parse>[0] & object> = {},
  desired: Assignment["desired"] = "run",
): Assignment {
  return {
    taskId: idOf(n),
    serviceId: idOf(900_000 + n),
    service: `s${n}`,
    project: "default",
    slot: 1,
    revision: 1,
    desired,
    template: TaskTemplate.parse({ image: "busybox:1", ...template }),
  };
}

export interface FakeServer extends AgentClient {
  /** Makes this the node's complete set, as a new version. */
  assign(...assignments: Assignment[]): void;
  /** Ends a held poll. */
  nudge(): void;
  /** The newest accepted row of each task. */
  rows: Map<string, Observed>;
  /** All accepted rows, in order, as `attempt state`. */
  history: Map<string, string[]>;
  /** When polls came, by the clock. */
  pollsMs: number[];
  reports: Observed[][];
  version: number;
  /** Answers given instead of the real ones. */
  nextPoll: Partial<PollResponse> | undefined;
  failure: CallError | undefined;
  unknown: Set<string>;
  tunnels: TunnelRequest[];
  holdMs: number;
  /** How long before a poll the newest one came that the leader can know of. */
  unheardMs: number;
  /** The secrets and configs of tasks, by task, and how often they were asked for. */
  files: Map<string, TaskFilesView["files"]>;
  filesAsked: number;
  login: PullLogin["login"];
  loginsAsked: number;
  /** What was settled first. */
  digest: string | undefined;
  /** Settling fails, as if the server were away. */
  settleFails: boolean;
  stateOf(taskId: string): string | undefined;
}

export function createFakeServer(clock: Clock): FakeServer {
  let assignments: Assignment[] = [];
  let changed = new AbortController();
  const unreachable: CallError = { kind: "unreachable", message: "cannot reach the server" };

  const server: FakeServer = {
    rows: new Map(),
    history: new Map(),
    pollsMs: [],
    reports: [],
    version: 1,
    nextPoll: undefined,
    failure: undefined,
    unknown: new Set(),
    tunnels: [],
    holdMs: 2_000,
    unheardMs: 0,
    files: new Map(),
    filesAsked: 0,
    login: undefined,
    loginsAsked: 0,
    digest: undefined,
    settleFails: false,
    stateOf(taskId) {
      const row = server.rows.get(taskId);
      return row && `${row.attempt} ${row.state}`;
    },
    assign(...next) {
      assignments = next;
      server.version++;
      server.nudge();
    },
    nudge() {
      changed.abort();
      changed = new AbortController();
    },
    async poll(_nodeId, { since, holdMs = 0 }, { signal } = {}) {
      server.pollsMs.push(clock.monoMs());
      const paced = () => ({
        holdMs: server.holdMs,
        ttlMs: 6_000,
        ...(server.unheardMs > 0 ? { unheardMs: server.unheardMs } : {}),
        tunnels: server.tunnels.splice(0),
      });
      if (server.failure) return { ok: false, error: server.failure };
      const special = server.nextPoll;
      server.nextPoll = undefined;
      if (special) return { ok: true, value: { version: server.version, ...paced(), ...special } };
      if (since !== undefined && since >= server.version && server.tunnels.length === 0) {
        const either = AbortSignal.any([changed.signal, ...(signal ? [signal] : [])]);
        await clock.sleep(holdMs, either);
      }
      if (signal?.aborted) return { ok: false, error: unreachable };
      const news = since === undefined || since < server.version;
      return {
        ok: true,
        value: { version: server.version, ...paced(), ...(news ? { assignments } : {}) },
      };
    },
    report(_nodeId, { tasks }) {
      if (server.failure) return Promise.resolve({ ok: false, error: server.failure });
      server.reports.push(tasks);
      const behind: { taskId: string; attempt: number }[] = [];
      for (const row of tasks) {
        if (server.unknown.has(row.taskId)) continue;
        const known = server.rows.get(row.taskId);
        const before = known ?? { attempt: 1, state: "assigned" as const };
        const same = known?.attempt === row.attempt && known.state === row.state;
        if (row.attempt < before.attempt) {
          behind.push({ taskId: row.taskId, attempt: before.attempt });
        }
        if (!same && !advances(before, row, "node")) continue;
        server.rows.set(row.taskId, row);
        if (!same) {
          const past = server.history.get(row.taskId) ?? [];
          server.history.set(row.taskId, [...past, `${row.attempt} ${row.state}`]);
        }
      }
      const unknown = tasks.map((row) => row.taskId).filter((id) => server.unknown.has(id));
      return Promise.resolve({ ok: true, value: { unknown, behind, base: "", stale: false } });
    },
    putFacts: () =>
      Promise.resolve(
        server.failure ? { ok: false, error: server.failure } : { ok: true, value: undefined },
      ),
    taskFiles(_nodeId, taskId) {
      server.filesAsked++;
      return Promise.resolve(
        server.failure
          ? { ok: false, error: server.failure }
          : { ok: true, value: { files: server.files.get(taskId) ?? [] } },
      );
    },
    pullLogin() {
      server.loginsAsked++;
      return Promise.resolve(
        server.failure
          ? { ok: false, error: server.failure }
          : { ok: true, value: server.login ? { login: server.login } : {} },
      );
    },
    settleDigest(_nodeId, _taskId, { digest }) {
      const away = { kind: "unreachable", message: "cannot reach the server" } as const;
      const error = server.failure ?? (server.settleFails ? away : undefined);
      if (error) return Promise.resolve({ ok: false, error });
      server.digest ??= digest;
      return Promise.resolve({ ok: true, value: { digest: server.digest } });
    },
    answerTunnel: () => {
      throw new Error("this server has no tunnels");
    },
  };
  return server;
}
