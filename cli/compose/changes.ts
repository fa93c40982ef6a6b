/**
 * What `up` has to do: the services that the files want, held against those that there are. Pure.
 *
 * @module
 */
import { sameValue } from "../../kv/schema/same.ts";
import { ServiceSpec, type ServiceView } from "../../kv/schema/service.ts";
import { ownerOf } from "./expand.ts";
import { BUILD_LABEL, COMPOSE_LABEL } from "./map/service.ts";

/** `recreate`: what changed cannot be changed in place. `orphan`: made by `up`, and in no file now. */
export type ChangeKind = "create" | "change" | "recreate" | "unchanged" | "orphan";

export interface Change {
  kind: ChangeKind;
  /** In the cluster. */
  name: string;
  spec?: ServiceSpec;
  current?: ServiceView;
  /** What differs. Values of variables may be secret: names only. */
  fields: FieldChange[];
}

export interface FieldChange {
  path: string;
  before: string;
  after: string;
}

/** `resting`: services of the files that are not meant now, and so are no orphans. */
export function changesOf(
  wanted: readonly ServiceSpec[],
  present: readonly ServiceView[],
  resting: ReadonlySet<string> = new Set(),
): Change[] {
  const current = new Map(present.map((view) => [view.name, view]));
  const changes = wanted.map((given): Change => {
    const view = current.get(given.name);
    const spec = view ? keepingBuild(given, view) : given;
    if (!view || view.deleting) {
      return {
        kind: "create",
        name: spec.name,
        spec,
        fields: [],
        ...(view ? { current: view } : {}),
      };
    }
    const before = ServiceSpec.parse(view);
    const same = sameValue(before, spec);
    const kind = same && !isFailedJob(view)
      ? "unchanged"
      : mustRecreate(view, spec)
      ? "recreate"
      : "change";
    return {
      kind,
      name: spec.name,
      spec,
      current: view,
      fields: same ? [] : differences(before, spec),
    };
  });
  const names = new Set(wanted.map(({ name }) => name));
  const rests = ({ labels }: ServiceView) => resting.has(ownerOf(labels[COMPOSE_LABEL] ?? ""));
  const orphans = present
    .filter((view) => isFromCompose(view) && !names.has(view.name) && !rests(view))
    .map((view): Change => ({ kind: "orphan", name: view.name, current: view, fields: [] }));
  return [...changes, ...orphans];
}

/** What was built before stays in use until it is built anew. */
function keepingBuild(spec: ServiceSpec, { template }: ServiceView): ServiceSpec {
  const built = template.labels[BUILD_LABEL];
  const { labels, image } = spec.template;
  if (built === undefined || labels[BUILD_LABEL] !== undefined || image !== template.image) {
    return spec;
  }
  return {
    ...spec,
    template: { ...spec.template, labels: { ...labels, [BUILD_LABEL]: built } },
  };
}

export function isFromCompose({ labels }: Pick<ServiceView, "labels">): boolean {
  return Object.hasOwn(labels, COMPOSE_LABEL);
}

function isFailedJob({ mode, phase }: ServiceView): boolean {
  return mode.type === "job" && phase === "failed";
}

/** A job has run, or is running: with another spec it is another job. So is a service of another mode. */
function mustRecreate({ mode }: ServiceView, spec: ServiceSpec): boolean {
  return mode.type === "job" || mode.type !== spec.mode.type;
}

const MAX_SHOWN = 60;

/** What differs between two values, field by field. */
export function differences(before: unknown, after: unknown, path = ""): FieldChange[] {
  if (sameValue(before, after)) return [];
  if (isMap(before) && isMap(after)) {
    const secret = /(^|\.)env$/.test(path);
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
      const inner = path === "" ? name : `${path}.${name}`;
      const [was, is] = [before[name], after[name]];
      if (!secret) return differences(was, is, inner);
      const hidden = (value: unknown) => value === undefined ? "-" : "…";
      return sameValue(was, is) ? [] : [{ path: inner, before: hidden(was), after: hidden(is) }];
    });
  }
  return [{ path, before: shown(before), after: shown(after) }];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined) return "-";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text;
}
