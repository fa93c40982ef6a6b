/**
 * Keeps this node's ingress proxy at what the routes and endpoints say, for one life of the agent.
 *
 * 1. A run of the container that has just begun knows nothing: it is told everything at once. What was
 *    loaded is remembered per run.
 * 2. What a proxy has stays in effect until it has taken something else. It is not replaced by something
 *    that lacks certificates only because the control plane is away.
 * 3. One load at a time; what changes meanwhile is loaded together. So a change is live soon after it was
 *    known, and loads do not pile up.
 * 4. The state file has no secret: the configuration is known again by its hash.
 *
 * @module
 */
import type { Assignment } from "../../kv/schema/agent.ts";
import { INGRESS, INGRESS_LABEL } from "../../kv/schema/ingress.ts";
import type { UnboundPort } from "../../kv/schema/node.ts";
import type { Observed } from "../../kv/schema/task.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Table } from "../balancer/table.ts";
import { unboundIn } from "../bind_failure.ts";
import type { Log } from "../log.ts";
import type { Outcome } from "../runtime.ts";
import { createBackOff, createWake } from "../wake.ts";
import type { CaddyAdmin } from "./admin.ts";
import { caddyConfig, certificatePins, type IngressSettings } from "./caddy_config.ts";
import type { Certificates } from "./certificates.ts";
import type { LoadedStore } from "./loaded.ts";

export interface IngressDeps {
  admin: CaddyAdmin;
  /** Sees to it that a listener that closes resets no connection. */
  migrateConnections: (signal: AbortSignal) => Promise<Outcome>;
  certificates: Certificates;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
  /** What the proxies of this node were told last. */
  store: LoadedStore;
  /** The node's tasks, as the agent knows them now. */
  tasks: () => Iterable<IngressTask>;
  /** Called with the ports that a proxy cannot listen on, whenever that changes. */
  onProblems(ports: UnboundPort[]): void;
}

/** A run of the proxy's container. */
export interface IngressTask {
  taskId: string;
  attempt: number;
  settings: IngressSettings;
}

export interface Ingress {
  /** Makes this the table in effect. */
  update(table: Table): void;
  /** Something has become of the node's tasks. */
  look(): void;
  run(signal: AbortSignal): Promise<void>;
}

const RETRY = { firstMs: 50, maxMs: 2_000 } as const;
const OLDER = /unknown field "(stream_close_delay|proxy_protocol)"/;

export function createIngress(deps: IngressDeps): Ingress {
  const { admin, certificates, clock, log, store } = deps;
  const bell = createWake(clock);
  const backOff = createBackOff({ ...RETRY, random: deps.random });
  /** Runs whose Caddy does not know what newer ones do. */
  const older = new Set<string>();
  let table: Table | undefined;
  let told = "";
  let unbound: UnboundPort | undefined;

  function tell(port: UnboundPort | undefined): void {
    if (JSON.stringify(port) === JSON.stringify(unbound)) return;
    unbound = port;
    deps.onProblems(port ? [port] : []);
  }

  /** Whether the proxy has what it is to have. */
  async function bring(
    task: IngressTask,
    services: readonly ServiceEndpoints[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const run = `${task.taskId} ${task.attempt}`;
    const before = store.get(run);
    const complete = await certificates.refresh(certificatePins(services), signal);
    if (!complete && before) return false; // invariant 2
    const input = {
      services,
      settings: task.settings,
      certificate: certificates.get,
      recent: !older.has(run),
    };
    const hash = await sha256(JSON.stringify(caddyConfig({ ...input, generation: 0 })));
    if (before?.hash === hash) return complete;
    const generation = (before?.generation ?? 0) + 1;
    const loaded = await admin.load(task.taskId, caddyConfig({ ...input, generation }), signal);
    if (loaded.ok) {
      await store.put(run, { generation, hash });
      told = "";
      tell(undefined);
      log("info", "the ingress proxy has a new configuration", { taskId: task.taskId, generation });
      return complete;
    }
    if (signal.aborted) return false;
    if (input.recent && OLDER.test(loaded.message)) {
      older.add(run);
      log(
        "warn",
        "the ingress proxy is older than Caddy 2.7: a change of routes or tasks cuts WebSockets, and " +
          "tasks are not told their clients' addresses by the PROXY protocol",
        { taskId: task.taskId },
      );
      return await bring(task, services, signal);
    }
    if (told !== loaded.message) {
      log("warn", "the ingress proxy takes no configuration; trying again", {
        taskId: task.taskId,
        reason: loaded.message,
      });
    }
    told = loaded.message;
    tell(unboundIn(loaded.message));
    return false;
  }

  /** Once per life of the agent: a machine that has been restarted has forgotten it. */
  async function prepare(signal: AbortSignal): Promise<void> {
    const done = await deps.migrateConnections(signal);
    if (done.ok || signal.aborted) return;
    log(
      "warn",
      "a change of routes may reset connections that are just being opened: set " +
        "net.ipv4.tcp_migrate_req=1 on this machine",
      { reason: done.message },
    );
  }

  return {
    update(next) {
      table = next;
      bell.ring();
    },
    look: () => bell.ring(),
    async run(signal) {
      await store.load();
      let prepared = false;
      while (!signal.aborted) {
        const tasks = [...deps.tasks()];
        if (tasks.length > 0 && !prepared) {
          prepared = true;
          await prepare(signal);
        }
        if (tasks.length === 0) tell(undefined);
        const runs = new Set(tasks.map(({ taskId, attempt }) => `${taskId} ${attempt}`));
        for (const run of older) if (!runs.has(run)) older.delete(run);
        let done = true;
        const services = table && [...table.services.values()];
        for (const task of services ? tasks : []) {
          done = await bring(task, services ?? [], signal) && done;
        }
        if (done) {
          backOff.reset();
          await bell.wait(signal);
        } else await bell.wait(signal, backOff.nextMs());
      }
    },
  };
}

/** The runs of the proxy among a node's tasks. */
export function ingressTasks(
  assignments: Iterable<Assignment>,
  rows: Iterable<Observed>,
): IngressTask[] {
  const proxies = [...assignments].filter(({ project, service }) =>
    project === INGRESS.project && service === INGRESS.service
  );
  if (proxies.length === 0) return []; // as on most nodes, whose tasks may be many
  const running = new Map([...rows].map((row) => [row.taskId, row]));
  return proxies.flatMap(({ taskId, template }) => {
    const row = running.get(taskId);
    if (row?.state !== "running") return [];
    const { labels = {} } = template;
    const acmeEmail = labels[INGRESS_LABEL.acmeEmail];
    const acmeCa = labels[INGRESS_LABEL.acmeCa];
    return [{
      ...{ taskId, attempt: row.attempt },
      settings: {
        httpPort: Number(labels[INGRESS_LABEL.httpPort] ?? 80),
        httpsPort: Number(labels[INGRESS_LABEL.httpsPort] ?? 443),
        ...(acmeEmail === undefined ? {} : { acmeEmail }),
        ...(acmeCa === undefined ? {} : { acmeCa }),
      },
    }];
  });
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
