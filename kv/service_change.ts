/**
 * What putting another spec changes of a service, and what cannot be changed. Pure.
 *
 * @module
 */
import { refuse } from "./outcome.ts";
import type { Revision, Service, ServiceSpec, TaskTemplate } from "./schema/service.ts";
import { sameValue } from "./same.ts";
import type { Versioned } from "./store.ts";

/** Refuses a change that is based on another version than the current one. */
export function refuseStale(current: Versioned<Service>, ifMatch: string | undefined) {
  if (ifMatch === undefined || ifMatch === "*" || ifMatch === current.versionstamp) {
    return undefined;
  }
  return refuse("changed", `service ${current.row.name} is at version ${current.versionstamp}`, {
    hint: "Read it again, apply your change to what you find, and send that version as If-Match.",
  });
}

/** Refuses to put a spec that this service cannot have. */
export function refusePut(
  current: Versioned<Service>,
  spec: ServiceSpec,
  ifMatch: string | undefined,
) {
  const { row } = current;
  const stale = refuseStale(current, ifMatch);
  if (stale) return stale;
  if (row.deleting) {
    return refuse("busy", `service ${row.name} is being removed`, {
      hint: "Wait until it is gone and create it anew.",
    });
  }
  if (row.mode.type !== spec.mode.type) {
    return refuse(
      "invalid",
      `service ${row.name} is ${row.mode.type}: it cannot become ${spec.mode.type}`,
      {
        hint: "Remove it and create it anew, or create another service.",
        errors: [{ field: "mode.type", message: `must stay ${row.mode.type}` }],
      },
    );
  }
  const errors = (["name", "project"] as const).filter((field) => row[field] !== spec[field])
    .map((field) => ({ field: field as string, message: `must stay ${row[field]}` }));
  if (errors.length === 0) return undefined;
  return refuse("invalid", `service ${row.name} keeps its name and project`, {
    hint: "Create another service, and remove this one.",
    errors,
  });
}

/** What putting `spec` would change; undefined when it is what is stored already. */
export function changeOf(
  row: Service,
  template: TaskTemplate,
  spec: ServiceSpec,
  { at, newest, pull = false }: { at: string; newest: number; pull?: boolean },
) {
  const { template: wanted, ...rest } = spec;
  const sameTemplate = !pull && sameValue(template, wanted);
  const kept = specFieldsOf(row);
  const sameRest = sameValue(kept, rest);
  if (sameTemplate && sameRest) return undefined;
  const revision = sameTemplate ? row.revision : newest + 1;
  return {
    row: { ...ownFieldsOf(row), ...rest, revision, updatedAt: at } satisfies Service,
    ...(sameTemplate ? {} : {
      revision: {
        ...{ serviceId: row.id, revision, createdAt: at, template: wanted },
        ...(pull ? { pull } : {}),
      } satisfies Revision,
    }),
  };
}

/** What of a service is its user's spec, beside the template. */
function specFieldsOf(row: Service): Omit<ServiceSpec, "template"> {
  const { id: _, revision: _r, createdAt: _c, updatedAt: _u, ...rest } = row;
  const { ingressPorts: _p, certificates: _k, deleting: _d, ...spec } = rest;
  return spec;
}

/** What of a service is the program's: an optional field that is absent in a new spec goes. */
function ownFieldsOf({ id, createdAt, ingressPorts, deleting }: Service) {
  return { id, createdAt, ingressPorts, deleting };
}
