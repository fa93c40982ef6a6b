/**
 * Room for what a task has reserved.
 *
 * @module
 */
import type { Filter } from "../filters.ts";
import type { Candidate, Request } from "../overlay.ts";

export const resources: Filter = {
  name: "resources",
  applies: (request) => request.milliCpus > 0 || request.memoryMiB > 0,
  check: (node, request) =>
    (request.milliCpus === 0 ||
      node.capacityMilliCpus - node.usedMilliCpus >= request.milliCpus) &&
    (request.memoryMiB === 0 || node.capacityMemoryMiB - node.usedMemoryMiB >= request.memoryMiB),
  group(node, request) {
    const { milliCpus, memoryMiB } = gapOf(node, request);
    const what = milliCpus === 0 ? "memory" : memoryMiB === 0 ? "CPU" : "CPU and memory";
    return { one: `lacks ${what}`, many: `lack ${what}`, gap: relative(node, request) };
  },
  gapText(node, request) {
    return `${amounts(gapOf(node, request))} on ${node.record.node.name}`;
  },
  explain(node, request) {
    const { name } = node.record.node;
    const gap = gapOf(node, request);
    const left = {
      milliCpus: gap.milliCpus && Math.max(0, request.milliCpus - gap.milliCpus),
      memoryMiB: gap.memoryMiB && Math.max(0, request.memoryMiB - gap.memoryMiB),
    };
    const lower = `lower the reservation to ${amounts(left, gap)}`;
    const tooBig = (gap.milliCpus > 0 && request.milliCpus > node.capacityMilliCpus) ||
      (gap.memoryMiB > 0 && request.memoryMiB > node.capacityMemoryMiB);
    const needed = amounts({
      milliCpus: gap.milliCpus && request.milliCpus,
      memoryMiB: gap.memoryMiB && request.memoryMiB,
    });
    return {
      reason: tooBig
        ? `${name} is too small: ${needed} asked for, ${amounts(left, gap)} free, ` +
          `${amounts(capacityOf(node), gap)} in all`
        : `${name} lacks ${amounts(gap)}: ${needed} asked for, ${amounts(left, gap)} free`,
      remedy: tooBig ? lower : `free ${amounts(gap)} on ${name} or ${lower}`,
      cost: 10 + 5 * Math.min(1, relative(node, request) / 2),
    };
  },
};

interface Amounts {
  milliCpus: number;
  memoryMiB: number;
}

function capacityOf(node: Candidate): Amounts {
  return { milliCpus: node.capacityMilliCpus, memoryMiB: node.capacityMemoryMiB };
}

function gapOf(node: Candidate, request: Request): Amounts {
  const freeMilliCpus = node.capacityMilliCpus - node.usedMilliCpus;
  const freeMemoryMiB = node.capacityMemoryMiB - node.usedMemoryMiB;
  return {
    milliCpus: request.milliCpus === 0 ? 0 : Math.max(0, request.milliCpus - freeMilliCpus),
    memoryMiB: request.memoryMiB === 0 ? 0 : Math.max(0, request.memoryMiB - freeMemoryMiB),
  };
}

/** The gap as a share of what is asked for, summed over both resources. */
function relative(node: Candidate, request: Request): number {
  const gap = gapOf(node, request);
  return gap.milliCpus / Math.max(1, request.milliCpus) +
    gap.memoryMiB / Math.max(1, request.memoryMiB);
}

/** "0.5 cores and 512 MiB of memory", of the resources that `which` names. */
function amounts(amount: Amounts, which: Amounts = amount): string {
  const parts: string[] = [];
  const cores = amount.milliCpus / 1000;
  if (which.milliCpus > 0) parts.push(`${cores} ${cores === 1 ? "core" : "cores"}`);
  if (which.memoryMiB > 0) parts.push(`${amount.memoryMiB} MiB of memory`);
  return parts.join(" and ");
}
