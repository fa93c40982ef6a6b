/**
 * From the names in a template to what they stand for now, for a new revision.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { Id } from "./schema/common.ts";
import type { Pin, Resolved } from "./schema/resolved.ts";
import { Sealed, type SealedKind } from "./schema/sealed.ts";
import type { TaskTemplate } from "./schema/service.ts";
import { getRow, type Kv } from "./store.ts";

export interface Resolution {
  /** Absent when the template names nothing. */
  resolved?: Resolved;
  /** What the commit must check: that the names still stand for the same. */
  checks: Deno.AtomicCheck[];
}

/** Looks the names up; refuses what is missing, with its field. */
export async function resolveTemplate(
  kv: Kv,
  project: string,
  template: TaskTemplate,
): Promise<Outcome<Resolution>> {
  const { secrets, configs } = template;
  if (secrets.length + configs.length === 0) return done({ checks: [] });
  const { versionstamp } = await kv.get(key.dataHead(project));
  const errors: { field: string; message: string }[] = [];
  const resolved: Resolved = { secrets: {}, configs: {} };
  for (const [kind, refs] of [["secret", secrets], ["config", configs]] as const) {
    for (const [i, { source }] of refs.entries()) {
      const pin = await findPin(kv, kind, project, source);
      if (pin) resolved[`${kind}s`][source] = pin;
      else {
        errors.push({
          field: `template.${kind}s.${i}.source`,
          message: `there is no ${kind} ${source} in project ${project}`,
        });
      }
    }
  }
  if (errors.length === 0) {
    return done({ resolved, checks: [{ key: key.dataHead(project), versionstamp }] });
  }
  return refuse("invalid", errors.map(({ message }) => message).join("; "), {
    hint: "Create what is missing (berth secret create, berth config create) and try again.",
    errors,
  });
}

async function findPin(
  kv: Kv,
  kind: SealedKind,
  project: string,
  name: string,
): Promise<Pin | undefined> {
  const id = (await getRow(kv, key.sealedName(kind, project, name), Id))?.row;
  const row = id === undefined ? undefined : (await getRow(kv, key.sealed(kind, id), Sealed))?.row;
  return row && !row.removing ? { id: row.id, version: row.version } : undefined;
}

/** The names of a revision whose values are gone: it cannot be gone back to. */
export async function missingPins(kv: Kv, resolved: Resolved | undefined): Promise<string[]> {
  const missing: string[] = [];
  for (const kind of ["secret", "config"] as const) {
    for (const [name, pin] of Object.entries(resolved?.[`${kind}s`] ?? {})) {
      const part = await kv.get(key.sealedValue(kind, pin.id, pin.version, 0));
      if (part.versionstamp === null) missing.push(`${kind} ${name}`);
    }
  }
  return missing;
}
