/**
 * From `secrets` and `configs` of a service to references, and what their values are made of. Pure.
 *
 * @module
 */
import type { SealedKind } from "../../../kv/schema/sealed.ts";
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import type { Project } from "../resolve.ts";
import { ComposeError, get, itemsOf, type Place, textOf, type Tree } from "../tree.ts";
import { integerOf, modeOf } from "../values.ts";
import { clusterName, isExternal, usedBy } from "./external.ts";
import { pairsAt, present, textAt } from "./read.ts";

type Template = ServiceSpecInput["template"];
type Ref = NonNullable<Template["secrets"]>[number];

const SECTION = { secret: "secrets", config: "configs" } as const;

/** Where a value comes from; external ones are there already. */
export interface ValueSource {
  kind: SealedKind;
  /** In the cluster. */
  name: string;
  labels: Record<string, string>;
  from: { file: string } | { environment: string } | { content: string };
  at: Place;
}

export function filesOf(project: Project, service: Tree): Pick<Template, "secrets" | "configs"> {
  const refs = (kind: SealedKind) =>
    itemsOf(get(service, SECTION[kind])).map((item) => refOf(project, kind, item));
  const [secrets, configs] = [refs("secret"), refs("config")];
  return {
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(configs.length === 0 ? {} : { configs }),
  };
}

function refOf(project: Project, kind: SealedKind, item: Tree): Ref {
  const key = textAt(item, "source") ?? "";
  const source = sealedName(project, kind, key);
  const target = textAt(item, "target") ?? (source === key ? undefined : key);
  return {
    source,
    ...present({
      target,
      uid: ownerOf(item, "uid"),
      gid: ownerOf(item, "gid"),
      mode: modeIn(item),
    }),
  };
}

/** What a secret or config of the files is called in the cluster; another name stays what it is. */
export function sealedName(project: Project, kind: SealedKind, key: string): string {
  return clusterName(get(project.tree, SECTION[kind], key), key);
}

function ownerOf(item: Tree, key: string): number | undefined {
  const text = textAt(item, key);
  const id = text === undefined ? undefined : integerOf(text);
  if (text === undefined || id !== undefined) return id;
  throw new ComposeError(`${key}: must be a number, found "${text}"`, get(item, key)?.at);
}

function modeIn(item: Tree): number | undefined {
  const text = textAt(item, "mode");
  const mode = text === undefined ? undefined : modeOf(text);
  if (text === undefined || mode !== undefined) return mode;
  throw new ComposeError(`mode: must be octal like 0440, found "${text}"`, get(item, "mode")?.at);
}

/** The values that the services of the project need and the files hold. */
export function valueSources(project: Project): ValueSource[] {
  const found = new Map<string, ValueSource>();
  for (const { tree } of project.services.values()) {
    for (const kind of ["secret", "config"] as const) {
      for (const key of usedBy(tree, SECTION[kind])) {
        const source = sourceOf(project, kind, key);
        if (source) found.set(`${kind} ${source.name}`, source);
      }
    }
  }
  return [...found.values()];
}

function sourceOf(project: Project, kind: SealedKind, key: string): ValueSource | undefined {
  const definition = get(project.tree, SECTION[kind], key);
  if (!definition || isExternal(definition)) return undefined;
  const [file, environment, content] = ["file", "environment", "content"].map((name) =>
    textOf(get(definition, name))
  );
  const from = file !== undefined
    ? { file }
    : environment !== undefined
    ? { environment }
    : content !== undefined
    ? { content }
    : undefined;
  if (!from) {
    throw new ComposeError(
      `${SECTION[kind]}.${key} says nothing of where its value is`,
      definition.at,
      "give it file: or environment:, or external: true if it is in the cluster already",
    );
  }
  const labels = pairsAt(definition, "labels") ?? {};
  return { kind, name: sealedName(project, kind, key), labels, from, at: definition.at };
}
