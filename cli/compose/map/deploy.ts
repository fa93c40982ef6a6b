/**
 * Resources, placement and changes: what stands under `deploy`, and its older spellings. Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import { ComposeError, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { bytesAt, durationAt, MIB, numberAt, present, textAt } from "./read.ts";

type Template = ServiceSpecInput["template"];
type PlacementInput = NonNullable<Template["placement"]>;

/** What is set aside, and what is the limit. */
export function resourcesOf(service: Tree): Pick<Template, "reserve" | "limit"> {
  const resources = get(service, "deploy", "resources");
  const cpus = numberAt(resources, "limits", "cpus") ?? numberAt(service, "cpus") ?? 0;
  const bytes = bytesAt(resources, "limits", "memory") ?? bytesAt(service, "mem_limit") ?? 0;
  const reservedBytes = bytesAt(resources, "reservations", "memory") ??
    bytesAt(service, "mem_reservation");
  const memoryMiB = mebibytes(bytes);
  return {
    limit: { cpus: rounded(cpus), memoryMiB },
    reserve: {
      cpus: rounded(numberAt(resources, "reservations", "cpus") ?? cpus),
      memoryMiB: reservedBytes === undefined ? memoryMiB : mebibytes(reservedBytes),
    },
  };
}

function mebibytes(bytes: number): number {
  return Math.ceil(Math.max(0, bytes) / MIB);
}

function rounded(cpus: number): number {
  return Math.round(cpus * 1000) / 1000;
}

export function placementOf(service: Tree): PlacementInput {
  const placement = get(service, "deploy", "placement");
  const constraints = itemsOf(get(placement, "constraints")).flatMap(constraintOf);
  const spread = itemsOf(get(placement, "preferences")).map((item) => {
    const text = textAt(item, "spread") ?? "";
    const label = /^node\.labels\.(.+)$/.exec(text)?.[1];
    if (label !== undefined) return { label };
    throw new ComposeError(
      `spread: must be node.labels.NAME, found "${text}"`,
      get(item, "spread")?.at ?? item.at,
      "give the nodes labels: berth node label",
    );
  });
  return {
    ...(constraints.length + platformOf(service).length === 0
      ? {}
      : { constraints: [...constraints, ...platformOf(service)] }),
    ...(spread.length === 0 ? {} : { spread }),
    ...present({ maxPerNode: numberAt(placement, "max_replicas_per_node") }),
  };
}

/** Every node works; no node of a Berth cluster is a manager. */
function constraintOf(item: Tree): string[] {
  const text = textOf(item) ?? "";
  const role = /^\s*node\.role\s*(==|!=)\s*(\w+)\s*$/.exec(text);
  if (!role) return [text];
  if ((role[1] === "==") === (role[2] === "worker")) return [];
  throw new ComposeError(
    `"${text}" fits no node: every node is a worker, and the control plane runs no tasks`,
    item.at,
    "take it out, or label the nodes that are meant and ask for the label",
  );
}

const ARCHITECTURES: Record<string, string> = {
  amd64: "x86_64",
  arm64: "aarch64",
  "386": "i386",
};

function platformOf(service: Tree): string[] {
  const [os, arch] = (textAt(service, "platform") ?? "").split("/");
  return [
    ...(os ? [`node.platform.os==${os}`] : []),
    ...(arch ? [`node.platform.arch==${ARCHITECTURES[arch] ?? arch}`] : []),
  ];
}

function changeOf(tree: Tree | undefined) {
  return present({
    parallelism: numberAt(tree, "parallelism"),
    delayMs: durationAt(tree, "delay"),
    monitorMs: durationAt(tree, "monitor"),
    maxFailureRatio: numberAt(tree, "max_failure_ratio"),
    order: textAt(tree, "order") as "stop-first" | "start-first" | undefined,
  });
}

export function updateOf(service: Tree): NonNullable<ServiceSpecInput["update"]> {
  const tree = get(service, "deploy", "update_config");
  const action = textAt(tree, "failure_action") as "pause" | "continue" | "rollback" | undefined;
  return { ...changeOf(tree), ...present({ failureAction: action }) };
}

export function rollbackOf(service: Tree): NonNullable<ServiceSpecInput["rollback"]> {
  const tree = get(service, "deploy", "rollback_config");
  const action = textAt(tree, "failure_action") as "pause" | "continue" | undefined;
  return { ...changeOf(tree), ...present({ failureAction: action }) };
}
