/**
 * What users ask for: random specs of services of every mode. What breaks in a simulation is mostly the
 * world's fault, so that all can come to rest; `broken` templates are for updates that are to fail.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { Random } from "./random.ts";

export type Template = ServiceSpecInput["template"];
export type Kind = "replicated" | "strict" | "global" | "job" | "cron";

/** The names of a kind: what becomes of a name that changes its kind is not at stake. */
export const KINDS: Record<Kind, { letter: string; names: number }> = {
  replicated: { letter: "s", names: 4 },
  strict: { letter: "x", names: 2 },
  global: { letter: "g", names: 2 },
  job: { letter: "j", names: 3 },
  cron: { letter: "c", names: 2 },
};

/** How often the schedules of cron services come, in s. */
export const CRON_SECONDS = [3, 5, 8] as const;

export function specOf(kind: Kind, random: Random, name: string): ServiceSpecInput {
  const spec = kind === "job" ? job(random) : kind === "cron" ? cron(random) : kind === "global"
    ? {
      mode: { type: "global" as const },
      template: templateOf(random),
      update: slotBySlot(random),
    }
    : replicated(random, kind === "strict");
  return {
    name,
    ...spec,
    priority: random.pick([0, 0, 0, 0, 10, -10]),
    disruption: { maxUnavailable: 1 + random.int(2) },
  };
}

function replicated(random: Random, strict: boolean) {
  const template = templateOf(random);
  return {
    mode: { type: "replicated" as const, replicas: strict ? 1 + random.int(2) : random.int(5) },
    template: withData(random, strict ? { ...template, ports: [] } : template),
    ...(!strict && template.ports?.length && random.chance(0.5)
      ? { routes: routesOf(random) }
      : {}),
    update: updateOf(random),
    ...(strict ? { singleton: "strict" as const } : {}),
    ...(random.chance(0.25) ? { disconnect: disconnectOf(random) } : {}),
  };
}

export function replicasOf(random: Random, spec: ServiceSpecInput): ServiceSpecInput {
  const replicas = spec.singleton === "strict" ? 1 + random.int(2) : random.int(5);
  return { ...spec, mode: { type: "replicated", replicas } };
}

function disconnectOf(random: Random): ServiceSpecInput["disconnect"] {
  return {
    replaceAfterMs: random.pick([0, 2000, 6000]),
    ...(random.chance(0.4) ? { stopAfterMs: random.pick([2000, 5000]) } : {}),
    reconcile: random.pick(["keep-new", "keep-old"]),
  };
}

/** What templates may refer to. */
export const CONFIGS = ["k1", "k2"] as const;
export const SECRETS = ["p1"] as const;
const VOLUMES = ["v1", "v2"] as const;

/** With a config, a secret, a volume, or none of them. */
export function withData(random: Random, template: Template): Template {
  return {
    ...template,
    ...(random.chance(0.25) ? { configs: [{ source: random.pick(CONFIGS) }] } : {}),
    ...(random.chance(0.15) ? { secrets: [{ source: random.pick(SECRETS) }] } : {}),
    ...(random.chance(0.12)
      ? { mounts: [{ type: "volume" as const, source: random.pick(VOLUMES), target: "/data" }] }
      : {}),
  };
}

/** An image whose tag is moved. */
export const TAGGED = "app:3";

/** A template that runs until it is stopped. */
export function templateOf(random: Random): Template {
  return {
    image: random.pick(["app:1", "app:2", TAGGED]),
    env: { V: String(random.int(1000)) },
    reserve: { cpus: random.pick([0, 0.25, 0.5, 1]), memoryMiB: random.pick([0, 128, 512]) },
    ports: random.chance(0.2)
      ? [{
        target: 80,
        published: random.pick([8080, 8081]),
        mode: random.pick(["host", "host", "ingress"] as const),
      }]
      : random.chance(0.2)
      ? [{ target: 80 }]
      : [],
    placement: random.chance(0.4) ? placementOf(random) : {},
    restart: { condition: "any", maxAttempts: random.int(3), maxDelayMs: 2000 },
    stopGraceMs: 500,
    // It has to be killed: it does not listen.
    ...(random.chance(0.1) ? { command: ["sh", "-c", "trap '' TERM; while true"] } : {}),
    ...(random.chance(0.2) ? { health: { probe, ...probing, retries: 1 + random.int(2) } } : {}),
    ...(random.chance(0.2)
      ? { readiness: { probe, ...probing, successes: 1 + random.int(2) } }
      : {}),
  };
}

const probe = { type: "exec" as const, command: ["check"] };
const probing = { intervalMs: 1500, startIntervalMs: 300, timeoutMs: 500 };

/** A template whose tasks end at once, and badly. */
export function brokenTemplate(random: Random): Template {
  const { placement: _, ...template } = templateOf(random);
  return {
    ...template,
    env: { SIM_EXIT: "1", SIM_RUN_MS: String(random.int(300)) },
    restart: { condition: "any", maxAttempts: random.int(2), maxDelayMs: 1000 },
  };
}

export function isBroken(template: Pick<Template, "env">): boolean {
  return template.env?.SIM_EXIT !== undefined;
}

type PlacementInput = NonNullable<Template["placement"]>;

function placementOf(random: Random): PlacementInput {
  const rules: readonly (() => PlacementInput)[] = [
    () => ({ labels: { zone: random.pick(["a", "b"]) } }),
    () => ({ constraints: [random.pick(CONSTRAINTS)] }),
    () => ({ pool: random.pick(["default", "edge"]) }),
    () => ({ tolerations: [{ key: "special", operator: "exists" as const }] }),
    () => ({ maxPerNode: 1 + random.int(2) }),
    () => ({ spread: [{ label: "zone", maxSkew: 1, required: random.chance(0.5) }] }),
    () => ({ affinity: [affinityOf(random)] }),
    () => ({ strategy: random.pick(["binpack", "epvm", "roundrobin", "random"]) }),
  ];
  return random.chance(0.3)
    ? { ...random.pick(rules)(), ...random.pick(rules)() }
    : random.pick(rules)();
}

const CONSTRAINTS = [
  "node.labels.zone==a",
  "node.labels.zone!=b",
  "node.labels.disk==ssd",
  "node.name!=n1",
  "node.pool==default",
] as const;

function affinityOf(random: Random) {
  return {
    to: { service: `s${1 + random.int(KINDS.replicated.names)}` },
    topology: random.pick(["node", "zone"]),
    anti: random.chance(0.7),
    required: random.chance(0.5),
  };
}

/** The service with another template; without a port there are no routes to it. */
export function withTemplate(spec: ServiceSpecInput, template: Template): ServiceSpecInput {
  return { ...spec, template, ...(template.ports?.length ? {} : { routes: [] }) };
}

/** Places that services want for themselves. */
const HOSTS = ["a.example.com", "b.example.com"] as const;

export function routesOf(random: Random): ServiceSpecInput["routes"] {
  return random.chance(0.3) ? [] : [{
    host: random.pick(HOSTS),
    path: random.pick(["/", "/api", "/API"]),
    port: 80,
    tls: "plain",
  }];
}

/** How a new revision replaces the old one; of global services only the slot by slot part counts. */
export function updateOf(random: Random): NonNullable<ServiceSpecInput["update"]> {
  return {
    ...slotBySlot(random),
    strategy: random.pick(["rolling", "rolling", "canary", "bluegreen"]),
    order: random.pick(["stop-first", "start-first"]),
    failureAction: random.pick(["pause", "continue", "rollback"]),
    canary: 1 + random.int(2),
    promote: random.pick(["auto", "manual"]),
    progressDeadlineMs: random.pick([20_000, 60_000]),
  };
}

function slotBySlot(random: Random) {
  return {
    parallelism: random.int(3),
    delayMs: random.pick([0, 0, 500]),
    monitorMs: random.pick([500, 1500]),
    drainMs: 100,
  };
}

function workOf(random: Random): Template {
  return {
    image: "app:1",
    env: {
      SIM_RUN_MS: String(random.int(6000)),
      SIM_EXIT: random.chance(0.15) ? "1" : "0",
    },
    reserve: { cpus: random.pick([0, 0.25, 0.5]), memoryMiB: random.pick([0, 128]) },
    restart: {
      condition: random.pick(["none", "on-failure"]),
      maxAttempts: random.int(2),
      maxDelayMs: 2000,
    },
    stopGraceMs: 500,
  };
}

function job(random: Random) {
  return {
    mode: {
      type: "job" as const,
      completions: 1 + random.int(4),
      parallelism: 1 + random.int(3),
      retries: random.int(4),
      ...(random.chance(0.2) ? { removeAfterMs: random.int(10_000) } : {}),
      ...(random.chance(0.25) ? { deadlineMs: random.pick([3000, 15_000]) } : {}),
    },
    template: workOf(random),
  };
}

function cron(random: Random) {
  return {
    mode: {
      type: "cron" as const,
      schedule: `*/${random.pick(CRON_SECONDS)} * * * * *`,
      concurrency: random.pick(["allow", "forbid", "replace"] as const),
      catchUpMs: random.pick([0, 0, 30_000]),
      retries: random.int(2),
      history: { succeeded: 2, failed: 1 },
      ...(random.chance(0.25) ? { deadlineMs: random.pick([2000, 5000]) } : {}),
    },
    template: workOf(random),
  };
}
