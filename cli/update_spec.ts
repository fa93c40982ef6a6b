/**
 * From the flags about updates to what a service's spec says of them. Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../kv/schema/service.ts";
import type { FailureAction, UpdateOrder, UpdateStrategy } from "../kv/schema/update.ts";

export interface UpdateFlags {
  strategy: UpdateStrategy | undefined;
  canary: number | undefined;
  parallelism: number | undefined;
  delay: number | undefined;
  order: UpdateOrder | undefined;
  monitor: number | undefined;
  failureAction: FailureAction | undefined;
  maxFailureRatio: number | undefined;
}

type UpdateInput = NonNullable<ServiceSpecInput["update"]>;

/** The fields that flags name, and no others. */
export function updateFields(flags: Partial<UpdateFlags>): UpdateInput {
  const { strategy, canary, parallelism, delay, order, monitor } = flags;
  return {
    ...(strategy === undefined ? {} : { strategy }),
    ...(canary === undefined ? {} : { canary }),
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(order === undefined ? {} : { order }),
    ...(monitor === undefined ? {} : { monitorMs: monitor }),
    ...(flags.failureAction === undefined ? {} : { failureAction: flags.failureAction }),
    ...(flags.maxFailureRatio === undefined ? {} : { maxFailureRatio: flags.maxFailureRatio }),
  };
}

export interface ChangeFlags extends UpdateFlags {
  image: string | undefined;
  env: [string, string][];
  envRm: string[];
  cpus: number | undefined;
  memory: number | undefined;
}

/** The spec with what the flags name changed in it. */
export function changedSpec(
  spec: ServiceSpecInput,
  flags: ChangeFlags,
  command: readonly string[],
): ServiceSpecInput {
  const { template } = spec;
  const { image, cpus, memory } = flags;
  const removed = new Set(flags.envRm);
  const env = Object.fromEntries([
    ...Object.entries(template.env ?? {}).filter(([name]) => !removed.has(name)),
    ...flags.env,
  ]);
  const resources = {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
  };
  return {
    ...spec,
    template: {
      ...template,
      env,
      reserve: { ...template.reserve, ...resources },
      limit: { ...template.limit, ...resources },
      ...(image === undefined ? {} : { image }),
      ...(command.length === 0 ? {} : { command: [...command] }),
    },
    update: { ...spec.update, ...updateFields(flags) },
  };
}
