/**
 * Domains of nodes, and how many tasks of a service each one has. Made in one pass over the nodes when a
 * plan first needs them, and kept in step by the overlay from then on.
 *
 * 1. Nodes that share a label's value are a shared domain; a node without the label, and in the topology
 *    `node` every node, is a domain by itself.
 * 2. The numbers of the shared domains come first.
 *
 * @module
 */
import { NODE_TOPOLOGY } from "../../kv/schema/placement.ts";
import type { Candidate, Overlay } from "../overlay.ts";

export interface Topology {
  label: string;
  /** The domain of each candidate, by its index. */
  of: Int32Array;
  /** The values of the shared domains, by number: invariant 2. */
  values: string[];
}

export interface Counter {
  topology: Topology;
  /** Tasks by domain, with those that only have room set aside. */
  counts: Int32Array;
  /** Those, by domain; absent while there are none. */
  promised?: Int32Array;
  total: number;
  /** Changes with the counts. */
  version: number;
}

export function topologyOf(overlay: Overlay, label: string): Topology {
  const known = overlay.topologies.get(label);
  if (known) return known;
  const of = new Int32Array(overlay.candidates.length);
  const numbers = new Map<string, number>();
  const alone: number[] = [];
  for (const [i, { record }] of overlay.candidates.entries()) {
    const value = label === NODE_TOPOLOGY ? undefined : record.labels[label];
    if (value === undefined) {
      alone.push(i);
      continue;
    }
    let number = numbers.get(value);
    if (number === undefined) numbers.set(value, number = numbers.size);
    of[i] = number;
  }
  for (const [i, at] of alone.entries()) of[at] = numbers.size + i;
  const topology = { label, of, values: [...numbers.keys()] };
  overlay.topologies.set(label, topology);
  return topology;
}

/** The domain of a node, by number. */
export function domainOf(topology: Topology, node: Candidate): number {
  return topology.of[node.index] ?? 0;
}

/** Whether the node is a domain by itself: invariant 1. */
export function isAlone(topology: Topology, node: Candidate): boolean {
  return domainOf(topology, node) >= topology.values.length;
}

/** The domain for people: `zone a`, or the node's name. */
export function domainText(topology: Topology, node: Candidate): string {
  const value = topology.values[domainOf(topology, node)];
  return value === undefined ? node.record.node.name : `${topology.label} ${value}`;
}

/** How many tasks of a service hold the node. */
export function tasksOf(node: Candidate, serviceId: string): number {
  return (node.record.perService.get(serviceId) ?? 0) + (node.added?.get(serviceId) ?? 0);
}

/** The tasks of a service by domain. */
export function counterOf(overlay: Overlay, serviceId: string, label: string): Counter {
  let counters = overlay.counters.get(serviceId);
  if (!counters) overlay.counters.set(serviceId, counters = new Map());
  const known = counters.get(label);
  if (known) return known;
  const topology = topologyOf(overlay, label);
  const counts = new Int32Array(overlay.candidates.length);
  const counter: Counter = { topology, counts, total: 0, version: 0 };
  for (const node of overlay.candidates) {
    const tasks = tasksOf(node, serviceId);
    if (tasks !== 0) shiftCounter(counter, node, tasks);
    const promised = node.promised?.get(serviceId) ?? 0;
    if (promised !== 0) notePromised(counter, node, promised);
  }
  counters.set(label, counter);
  return counter;
}

/** The tasks in the node's domain. */
export function countAt({ topology, counts }: Counter, node: Candidate): number {
  return counts[domainOf(topology, node)] ?? 0;
}

/** The tasks in the domain that are there: no rule holds because of one that may never come. */
export function presentIn({ counts, promised }: Counter, domain: number): number {
  return (counts[domain] ?? 0) - (promised?.[domain] ?? 0);
}

/** Of the tasks that are counted in the node's domain, so many more only have room set aside. */
export function notePromised(counter: Counter, node: Candidate, tasks: number): void {
  const domain = domainOf(counter.topology, node);
  counter.promised ??= new Int32Array(counter.counts.length);
  counter.promised[domain] = (counter.promised[domain] ?? 0) + tasks;
  counter.version++;
}

/** Adds to the count of the node's domain, or takes away from it. */
export function shiftCounter(counter: Counter, node: Candidate, tasks: number): void {
  const domain = domainOf(counter.topology, node);
  counter.counts[domain] = (counter.counts[domain] ?? 0) + tasks;
  counter.total += tasks;
  counter.version++;
}
