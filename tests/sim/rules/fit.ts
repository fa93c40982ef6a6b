/**
 * Whether a node may have a task, by the checker's own reading of the documentation: rules that hold
 * whatever else is where, and those that look at other tasks.
 *
 * @module
 */
import type { Facts, PlacementRow, TaintRow, TaskRow } from "../facts.ts";

/** What the node itself is refused for; undefined: nothing. */
export function refusal(facts: Facts, nodeId: string, placement: PlacementRow): string | undefined {
  const node = facts.node(nodeId);
  if (!node) return "is not known";
  const { labels, pool, taints } = facts.nodeSpec(nodeId);
  if (placement.node !== undefined && ![node.id, node.name].includes(placement.node)) {
    return `is not node ${placement.node}`;
  }
  if (placement.pool !== undefined && placement.pool !== pool) return `is of pool ${pool}`;
  for (const [name, value] of Object.entries(placement.labels)) {
    if (labels[name] !== value) return `does not carry ${name}=${value}`;
  }
  const required = placement.affinity.flatMap(({ to, required, anti }) =>
    required && to.constraint !== undefined ? [{ text: to.constraint, anti }] : []
  );
  for (const text of placement.constraints) {
    if (!meets(text, node.name, labels, pool)) return `does not meet ${text}`;
  }
  for (const { text, anti } of required) {
    if (meets(text, node.name, labels, pool) === anti) return `does not meet ${text}`;
  }
  const taint = taints.find((one) =>
    one.effect !== "prefer-no-schedule" && !tolerated(one, placement)
  );
  return taint && `has taint ${taint.key}:${taint.effect}`;
}

/** Whether a taint moves a running task away. */
export function evicts(taint: TaintRow, placement: PlacementRow): boolean {
  return taint.effect === "no-execute" && !tolerated(taint, placement);
}

function tolerated(taint: TaintRow, { tolerations }: PlacementRow): boolean {
  return tolerations.some(({ key, operator, value, effect }) =>
    (key ?? taint.key) === taint.key && (effect ?? taint.effect) === taint.effect &&
    (operator === "exists" || (value ?? "") === (taint.value ?? ""))
  );
}

function meets(text: string, name: string, labels: Record<string, string>, pool: string): boolean {
  const [, attribute = "", operator, value = ""] = /^(\S+?)\s*(==|!=)\s*(.*)$/.exec(text) ?? [];
  const actual = attribute.startsWith("node.labels.")
    ? labels[attribute.slice("node.labels.".length)]
    : attribute === "node.pool"
    ? pool
    : name;
  return (actual?.toLowerCase() === value.toLowerCase()) === (operator === "==");
}

/** The nodes that count as one with this one. */
export function domainOf(
  facts: Facts,
  nodeId: string,
  topology: string,
): (other: string) => boolean {
  const value = topology === "node" ? undefined : facts.nodeSpec(nodeId).labels[topology];
  if (value === undefined) return (other) => other === nodeId;
  return (other) => facts.nodeSpec(other).labels[topology] === value;
}

/**
 * What a task on this node is refused for because of other tasks. `others` are the tasks that hold a
 * node, without the task itself.
 */
export function clash(
  facts: Facts,
  task: TaskRow,
  nodeId: string,
  others: readonly TaskRow[],
): string | undefined {
  const placement = facts.template(task.serviceId, task.revision)?.placement;
  if (!placement) return undefined;
  const own = others.filter((other) => other.serviceId === task.serviceId);
  const here = own.filter((other) => other.nodeId === nodeId).length;
  if (placement.maxPerNode !== undefined && here >= placement.maxPerNode) {
    return `has ${here} of at most ${placement.maxPerNode}`;
  }
  for (const { to, topology, anti, required } of placement.affinity) {
    if (!required || to.service === undefined) continue;
    const target = facts.services().find(({ name }) => name === to.service);
    const domain = domainOf(facts, nodeId, topology);
    const theirs = others.filter((other) => other.serviceId === target?.id);
    const near = theirs.some((other) => domain(other.nodeId ?? ""));
    if (anti && near) return `is near ${to.service}`;
    const first = target?.id === task.serviceId && theirs.length === 0;
    if (!anti && !near && !first) return `is not near ${to.service}`;
  }
  return clashBack(facts, task, nodeId, others) ?? skew(facts, { task, nodeId, own, placement });
}

/** A node that lacks a volume of the task's. Of a global service each node has its own. */
function lacksVolume(facts: Facts, task: TaskRow, nodeId: string): boolean {
  if (facts.service(task.serviceId)?.mode.type === "global") return false;
  return facts.volumesOf(task).some(([, id]) => {
    const nodes = facts.volumeNodes(id);
    return nodes.length > 0 && !nodes.includes(nodeId);
  });
}

/** Who keeps others away is kept away from as well. */
function clashBack(
  facts: Facts,
  task: TaskRow,
  nodeId: string,
  others: readonly TaskRow[],
): string | undefined {
  const own = facts.service(task.serviceId)?.name;
  for (const service of facts.services()) {
    if (service.id === task.serviceId) continue;
    const placement = facts.template(service.id, service.revision)?.placement;
    for (const { to, topology, anti, required } of placement?.affinity ?? []) {
      if (!anti || !required || to.service !== own) continue;
      const domain = domainOf(facts, nodeId, topology);
      const near = others.some((other) =>
        other.serviceId === service.id && domain(other.nodeId ?? "")
      );
      if (near) return `is near ${service.name}, which keeps away`;
    }
  }
  return undefined;
}

/** Domains count that have a node which could have the task if it were empty. */
function skew(
  facts: Facts,
  { task, nodeId, own, placement }: {
    task: TaskRow;
    nodeId: string;
    own: TaskRow[];
    placement: PlacementRow;
  },
): string | undefined {
  for (const { label, maxSkew, required } of placement.spread) {
    if (!required) continue;
    const value = facts.nodeSpec(nodeId).labels[label];
    if (value === undefined) return `has no label ${label}`;
    const counts = new Map<string, number>();
    for (const { id } of facts.nodes()) {
      const domain = facts.nodeSpec(id).labels[label];
      const open = facts.isReady(id) && facts.nodeSpec(id).availability === "active";
      if (domain === undefined || !open || refusal(facts, id, placement)) continue;
      if (lacksVolume(facts, task, id)) continue;
      counts.set(domain, 0);
    }
    const valueOf = (other: TaskRow) => facts.nodeSpec(other.nodeId ?? "").labels[label];
    for (const domain of counts.keys()) {
      counts.set(domain, own.filter((other) => valueOf(other) === domain).length);
    }
    if (counts.size === 0) continue;
    const here = own.filter((other) => valueOf(other) === value).length;
    const least = Math.min(...counts.values());
    if (here + 1 - least > maxSkew) return `has ${here} in ${label} ${value}, another ${least}`;
  }
  return undefined;
}
