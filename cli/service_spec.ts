/**
 * From the flags that say how a service is kept (catalog/service_flags.ts) to its spec: what no flag names
 * stays as it is. Pure.
 *
 * @module
 */
import type { ServiceFlags, UpdateFlags } from "./catalog/service_flags.ts";
import type { Parsed } from "./command.ts";
import { checkSpec } from "./spec_check.ts";
import type { ServiceSpecInput } from "../kv/schema/service.ts";

export type { ServiceFlags, UpdateFlags };

type Flags = Partial<ServiceFlags>;
type TemplateInput = ServiceSpecInput["template"];

/** The spec with what the flags name changed in it. */
export function withFlags(spec: ServiceSpecInput, flags: Flags): Parsed<ServiceSpecInput> {
  const health = healthOf(spec.template, flags);
  if (!health.ok) return health;
  const readiness = readinessOf(spec.template, flags);
  if (!readiness.ok) return readiness;
  const { singleton: kept, ...rest } = spec;
  const singleton = flags.singleton === undefined ? kept : only(flags.singleton, "strict");
  const disconnect = changed(spec.disconnect, {
    replaceAfterMs: flags.disconnectReplaceAfter,
    stopAfterMs: flags.disconnectStopAfter,
    reconcile: flags.disconnectReconcile,
  });
  return checkSpec({
    ...rest,
    template: {
      ...spec.template,
      ...named({
        health: health.value,
        readiness: readiness.value,
        restart: changed(spec.template.restart, restartFields(flags)),
        placement: changed(spec.template.placement, placementFields(flags)),
        stopGraceMs: flags.stopGracePeriod,
        stopSignal: flags.stopSignal,
      }),
    },
    ...named({
      priority: flags.priority,
      routes: listed(flags.route),
      disruption: changed(spec.disruption, { maxUnavailable: flags.maxUnavailable }),
      update: changed(spec.update, updateFields(flags)),
      rollback: changed(spec.rollback, rollbackFields(flags)),
      singleton,
      disconnect,
    }),
  });
}

/** Whether any flag is about how the service changes to another revision. */
export function namesUpdate(flags: Flags): boolean {
  return Object.keys({ ...named(updateFields(flags)), ...named(rollbackFields(flags)) }).length > 0;
}

function updateFields(flags: Flags) {
  return {
    strategy: flags.updateStrategy,
    canary: flags.canary,
    promote: flags.promote,
    parallelism: flags.updateParallelism,
    delayMs: flags.updateDelay,
    order: flags.updateOrder,
    monitorMs: flags.updateMonitor,
    maxFailureRatio: flags.updateMaxFailureRatio,
    failureAction: flags.updateFailureAction,
    progressDeadlineMs: flags.progressDeadline,
    drainMs: flags.drain,
  };
}

function rollbackFields(flags: Flags) {
  return {
    parallelism: flags.rollbackParallelism,
    delayMs: flags.rollbackDelay,
    order: flags.rollbackOrder,
    monitorMs: flags.rollbackMonitor,
    maxFailureRatio: flags.rollbackMaxFailureRatio,
    failureAction: flags.rollbackFailureAction,
  };
}

function restartFields(flags: Flags) {
  return {
    condition: flags.restart,
    delayMs: flags.restartDelay,
    maxDelayMs: flags.restartMaxDelay,
    maxAttempts: flags.restartMaxAttempts,
    windowMs: flags.restartWindow,
  };
}

function placementFields(flags: Flags) {
  const { affinity = [], antiAffinity = [] } = flags;
  const anti = antiAffinity.map((rule) => rule && { ...rule, anti: true });
  return {
    node: flags.node,
    pool: flags.pool,
    constraints: listed(flags.constraint),
    tolerations: listed(flags.toleration),
    affinity: listed([...affinity, ...anti]),
    spread: listed(flags.spread),
    maxPerNode: flags.maxPerNode,
    strategy: flags.strategy,
  };
}

/** What was given, instead of what was there; the empty text alone stands for none. */
function listed<T>(given: readonly T[] = []): Exclude<T, undefined | "">[] | undefined {
  const values = given.filter((item) => item !== undefined && item !== "");
  return given.length === 0 ? undefined : values as Exclude<T, undefined | "">[];
}

/** A command as Docker takes it: for the shell of the container. */
const shell = (command: string) => ["/bin/sh", "-c", command];

function healthOf(template: TemplateInput, flags: Flags): Parsed<TemplateInput["health"]> {
  const { healthCmd, healthHttp, healthTcp, noHealthcheck } = flags;
  const probes = [
    ...(healthCmd === undefined ? [] : [{ type: "engine" as const, command: shell(healthCmd) }]),
    ...(healthHttp === undefined ? [] : [healthHttp]),
    ...(healthTcp === undefined ? [] : [{ type: "tcp" as const, port: healthTcp }]),
    ...(noHealthcheck ? [{ type: "none" as const }] : []),
  ];
  if (probes.length > 1) {
    return clash("--health-cmd, --health-http, --health-tcp, --no-healthcheck");
  }
  const fields = named({
    probe: probes[0],
    intervalMs: flags.healthInterval,
    timeoutMs: flags.healthTimeout,
    retries: flags.healthRetries,
    startPeriodMs: flags.healthStartPeriod,
    startIntervalMs: flags.healthStartInterval,
  });
  if (Object.keys(fields).length === 0) return { ok: true, value: undefined };
  // Without a probe of one's own the settings are for the image's.
  return { ok: true, value: { probe: { type: "engine" }, ...template.health, ...fields } };
}

function readinessOf(template: TemplateInput, flags: Flags): Parsed<TemplateInput["readiness"]> {
  const { readyCmd, readyHttp, readyTcp } = flags;
  const probes = [
    ...(readyCmd === undefined ? [] : [{ type: "exec" as const, command: shell(readyCmd) }]),
    ...(readyHttp === undefined ? [] : [readyHttp]),
    ...(readyTcp === undefined ? [] : [{ type: "tcp" as const, port: readyTcp }]),
  ];
  if (probes.length > 1) return clash("--ready-cmd, --ready-http, --ready-tcp");
  const fields = named({
    intervalMs: flags.readyInterval,
    timeoutMs: flags.readyTimeout,
    retries: flags.readyRetries,
  });
  const probe = probes[0] ?? template.readiness?.probe;
  if (probes.length === 0 && Object.keys(fields).length === 0) {
    return { ok: true, value: undefined };
  }
  if (!probe) {
    const message = "--ready-interval and the like need --ready-http, --ready-tcp or --ready-cmd";
    return { ok: false, message };
  }
  return { ok: true, value: { ...template.readiness, ...fields, probe } };
}

function clash(flags: string): { ok: false; message: string } {
  return { ok: false, message: `give one of ${flags}: there is one probe` };
}

type Named<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that have a value. */
function named<T extends object>(fields: T): Named<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Named<T>;
}

/** What there was with the fields that have a value, or nothing when none has. */
function changed<B extends object, T extends object>(before: B | undefined, fields: T) {
  const given = named(fields);
  return Object.keys(given).length === 0 ? before : { ...before, ...given };
}

function only<T extends string>(text: string, value: T): T | undefined {
  return text === value ? value : undefined;
}
