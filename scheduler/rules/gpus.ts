/**
 * GPUs, which are counted one by one: a task has those that it asks for to itself.
 *
 * @module
 */
import type { TaskTemplate } from "../../kv/schema/service.ts";
import type { Filter } from "../filters.ts";
import type { Candidate, Request } from "../overlay.ts";

/** What "all of the node's" counts for: more than any node has. */
export const ALL_GPUS = 1025;

/** How many a template asks for. */
export function gpusOf({ container }: TaskTemplate): number {
  let gpus = 0;
  for (const { count, deviceIds, capabilities } of container?.deviceRequests ?? []) {
    if (!capabilities.includes("gpu")) continue;
    if (count === -1) return ALL_GPUS;
    gpus += deviceIds?.length ?? count ?? 1;
  }
  return gpus;
}

export const gpus: Filter = {
  name: "gpus",
  applies: (request) => request.gpus > 0,
  check: (node, request) => lacking(node, request) === 0,
  group: (node, request) => ({
    ...(inAll(node) === 0
      ? { one: "has no GPU", many: "have no GPUs" }
      : { one: "lacks GPUs", many: "lack GPUs" }),
    gap: lacking(node, request),
  }),
  gapText: (node, request) => `${named(lacking(node, request))} on ${node.record.node.name}`,
  explain(node, request) {
    const { name } = node.record.node;
    const asked = request.gpus === ALL_GPUS ? "all" : String(request.gpus);
    if (inAll(node) === 0) {
      return {
        reason: `${name} has no GPU that its engine tells of: ${asked} asked for`,
        remedy: `start the worker of ${name} with --gpus, if it has some`,
        cost: 50,
      };
    }
    const tooFew = request.gpus !== ALL_GPUS && request.gpus > inAll(node);
    return {
      reason: `${name} lacks ${named(lacking(node, request))}: ${asked} asked for, ` +
        `${free(node)} free, ${inAll(node)} in all`,
      remedy: tooFew
        ? `ask for ${named(inAll(node))} at most`
        : `free ${named(lacking(node, request))} on ${name}`,
      cost: tooFew ? 45 : 20,
    };
  },
};

function inAll({ record }: Candidate): number {
  return record.node.gpus ?? 0;
}

function free(node: Candidate): number {
  return Math.max(0, inAll(node) - node.usedGpus);
}

function lacking(node: Candidate, request: Request): number {
  if (request.gpus !== ALL_GPUS) return Math.max(0, request.gpus - free(node));
  return inAll(node) === 0 ? 1 : Math.min(inAll(node), node.usedGpus);
}

function named(count: number): string {
  return count === 1 ? "1 GPU" : `${count} GPUs`;
}
