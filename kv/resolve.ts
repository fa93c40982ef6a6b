/**
 * From the names in a template to what they stand for now, for a new revision. Volumes are made by being
 * named; secrets and configs must be there.
 *
 * Whatever a name may stand for changes with the project's data head (sealed.ts, volumes.ts), so one check
 * guards all of them: a commit may have few.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { sameValue } from "./same.ts";
import { Id, timestamp } from "./schema/common.ts";
import type { Pin, Resolved } from "./schema/resolved.ts";
import { Sealed, type SealedKind } from "./schema/sealed.ts";
import type { TaskTemplate } from "./schema/service.ts";
import type { Clock } from "./schema/time.ts";
import { namedVolumes, Volume, type VolumeMount, type VolumePin } from "./schema/volume.ts";
import { getRow, type Kv } from "./store.ts";

export interface ResolveDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
}

export interface Resolution {
  /** Absent when the template names nothing. */
  resolved?: Resolved;
  /** Adds to the commit of the revision what it needs: a check, and the rows of new volumes. */
  addTo(op: Deno.AtomicOperation): Deno.AtomicOperation;
}

interface Found {
  resolved: Resolved;
  errors: { field: string; message: string }[];
  volumes: Volume[];
}

/** Looks the names up; refuses what is missing, with its field. */
export async function resolveTemplate(
  deps: ResolveDeps,
  project: string,
  template: TaskTemplate,
): Promise<Outcome<Resolution>> {
  const { secrets, configs } = template;
  const mounts = namedVolumes(template.mounts);
  if (secrets.length + configs.length + mounts.length === 0) return done({ addTo: (op) => op });
  const head = key.dataHead(project);
  const { versionstamp } = await deps.kv.get(head);
  const found: Found = {
    resolved: { secrets: {}, configs: {}, volumes: {} },
    errors: [],
    volumes: [],
  };
  for (const kind of ["secret", "config"] as const) {
    for (const [i, { source }] of template[`${kind}s`].entries()) {
      const pin = await findPin(deps.kv, kind, project, source);
      if (pin) found.resolved[`${kind}s`][source] = pin;
      else {
        const message = `there is no ${kind} ${source} in project ${project}`;
        found.errors.push({ field: `template.${kind}s.${i}.source`, message });
      }
    }
  }
  for (const [i, mount] of template.mounts.entries()) {
    const [named] = namedVolumes([mount]);
    if (named) {
      await resolveVolume(deps, project, { mount: named, field: `template.mounts.${i}` }, found);
    }
  }
  const { errors, resolved, volumes } = found;
  if (errors.length > 0) {
    return refuse("invalid", errors.map(({ message }) => message).join("; "), {
      hint: "Create what is missing (berth secret create, berth config create), or correct the " +
        "fields in `errors`.",
      errors,
    });
  }
  return done({
    resolved,
    addTo(op) {
      op.check({ key: head, versionstamp });
      if (volumes.length > 0) op.set(head, deps.newId());
      for (const volume of volumes) {
        op.set(key.volume(volume.id), volume)
          .set(key.volumeName(project, volume.name), volume.id);
      }
      return op;
    },
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

/** The volume of that name, or a new one of it. */
async function resolveVolume(
  { kv, clock, newId }: ResolveDeps,
  project: string,
  { mount, field }: { mount: VolumeMount & { source: string }; field: string },
  { resolved, errors, volumes }: Found,
): Promise<void> {
  const name = mount.source;
  const fresh = volumes.find((volume) => volume.name === name);
  const id = (await getRow(kv, key.volumeName(project, name), Id))?.row;
  const stored = id === undefined ? undefined : (await getRow(kv, key.volume(id), Volume))?.row;
  const known = fresh ?? stored;
  if (known?.removing) {
    errors.push({ field: `${field}.source`, message: `volume ${name} is being removed` });
    return;
  }
  const wanted = choicesOf(mount);
  if (known) {
    for (const [choice, value] of Object.entries(wanted)) {
      const is = choicesOf(known)[choice];
      if (choice === "labels" || sameValue(value, is)) continue;
      const message = `volume ${name} was made with ${choice} ${JSON.stringify(is ?? "default")}`;
      errors.push({ field: `${field}.${choice}`, message });
    }
    resolved.volumes[name] = pinOf(known);
    return;
  }
  const createdAt = timestamp(clock.wallMs());
  const volume: Volume = { id: newId(), project, name, createdAt, ...wanted };
  volumes.push(volume);
  resolved.volumes[name] = pinOf(volume);
}

/** What is said of how a volume is made. */
function choicesOf(
  { driver, options, labels }: Pick<Volume, "driver" | "options" | "labels">,
): Record<string, unknown> & Pick<Volume, "driver" | "options" | "labels"> {
  return {
    ...(driver === undefined ? {} : { driver }),
    ...(options === undefined ? {} : { options }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function pinOf(volume: Volume): VolumePin {
  return { id: volume.id, ...choicesOf(volume) };
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
  for (const [name, { id }] of Object.entries(resolved?.volumes ?? {})) {
    if ((await kv.get(key.volume(id))).versionstamp === null) missing.push(`volume ${name}`);
  }
  return missing;
}
