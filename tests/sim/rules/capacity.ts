/**
 * Nothing is promised twice: the reservations of a node's tasks that have not ended fit into it, a
 * published host port belongs to one of them, and a port of the whole cluster, as well as the place of a
 * route, to one service.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import { heldOf, type NodeRow, type TaskRow } from "../facts.ts";

export function capacity({ facts, broken }: RuleContext): Rule {
  function checkIngress(): void {
    const owners = new Map<string, string>();
    for (const { name, ingressPorts = [] } of facts.services()) {
      for (const { protocol, published } of ingressPorts) {
        const port = `${protocol}/${published}`;
        const owner = owners.get(port);
        if (owner !== undefined) broken(`port ${port} is that of ${owner} and of ${name}`);
        owners.set(port, name);
      }
    }
  }

  function checkRoutes(): void {
    const owners = new Map<string, string>();
    for (const { name, routes = [] } of facts.services()) {
      for (const { host, path } of routes) {
        const place = host + path.toLowerCase();
        const owner = owners.get(place);
        if (owner !== undefined) broken(`route ${place} is that of ${owner} and of ${name}`);
        owners.set(place, name);
      }
    }
  }

  return {
    commit({ changes }) {
      if (changes.some(({ key }) => key[0] === "service")) {
        checkIngress();
        checkRoutes();
      }
      const touched = new Set<string>();
      for (const { key, before, after } of changes) {
        if (key[0] !== "task") continue;
        const nodeId = (after as TaskRow | undefined)?.nodeId;
        // A node that was removed, or has shrunk since, is not held against what it has.
        const placed = (before as TaskRow | undefined)?.nodeId === undefined;
        if (nodeId !== undefined && placed && !facts.isStale("node", nodeId)) touched.add(nodeId);
      }
      for (const nodeId of touched) {
        const node = facts.rows("node").get(nodeId) as NodeRow | undefined;
        if (!node) {
          broken(`tasks are on node ${nodeId}, which is not known`);
          continue;
        }
        const held = heldOf(facts, nodeId);
        if (held.milliCpus > node.capacity.cpus * 1000 + 0.5) {
          broken(`${node.name} has ${node.capacity.cpus} cpus, promised ${held.milliCpus} milli`);
        }
        if (held.memoryMiB > node.capacity.memoryMiB) {
          broken(`${node.name} has ${node.capacity.memoryMiB} MiB, promised ${held.memoryMiB}`);
        }
        for (const [port, tasks] of held.ports) {
          if (tasks.length > 1) broken(`${node.name}: ${port} is held by ${tasks.join(" and ")}`);
        }
      }
    },
  };
}
