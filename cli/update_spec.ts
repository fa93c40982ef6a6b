/**
 * From the flags of `berth update` to the changed spec of a service. Pure.
 *
 * @module
 */
import type { Parsed } from "./command.ts";
import { type ServiceFlags, withFlags } from "./service_spec.ts";
import type { ServiceSpecInput } from "../kv/schema/service.ts";

export interface ChangeFlags extends ServiceFlags {
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
): Parsed<ServiceSpecInput> {
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
  const changed: ServiceSpecInput = {
    ...spec,
    template: {
      ...template,
      env,
      reserve: { ...template.reserve, ...resources },
      limit: { ...template.limit, ...resources },
      ...(image === undefined ? {} : { image }),
      ...(command.length === 0 ? {} : { command: [...command] }),
    },
  };
  return withFlags(changed, flags);
}
