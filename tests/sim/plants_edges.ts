/**
 * Planted bugs where the parts meet the world: answers, engines, agents.
 *
 * @module
 */
import type { Plant } from "./plants.ts";
import type { Sim } from "./sim.ts";
import { JOINS_ANEW } from "./stories/found_nodes.ts";
import { CROWD, FULL, LIFE, LOSS, WORK } from "./stories/days.ts";

export const EDGE_PLANTS: readonly Plant[] = [
  {
    name: "a node is not heard before its former containers are gone",
    story: JOINS_ANEW,
    finds: /is taken for dead, and is well/,
    install(sim) {
      sim.prepareNode = (node) => {
        node.clearsFirst = true;
      };
    },
  },
  {
    name: "an answer to a poll lacks a task",
    story: LOSS,
    finds: /which it was told to run/,
    install(sim) {
      const seen = new Set<string>();
      sim.network.tamper = ({ sent }, answer) => {
        if (!sent.path.includes("/assignments") || answer.status !== 200) return answer;
        const body = JSON.parse(answer.body);
        const [first, ...others] = body.assignments ?? [];
        if (!first) return answer;
        const known = seen.has(first.taskId);
        seen.add(first.taskId);
        return known
          ? { ...answer, body: JSON.stringify({ ...body, assignments: others }) }
          : answer;
      };
    },
  },
  {
    name: "engines do not remove containers",
    story: LIFE,
    finds: /orphan/,
    install(sim) {
      sim.prepareNode = ({ engine }) => {
        engine.remove = () => {};
      };
    },
  },
  {
    name: "a poll's answer has another node's task",
    story: LIFE,
    finds: /is told of foreign/,
    install(sim) {
      const last = new Map<string, object[]>();
      onPolls(sim, (nodeId, body) => {
        const [foreign] = [...last].filter(([id]) => id !== nodeId).flatMap(([, tasks]) => tasks);
        last.set(nodeId, body.assignments);
        return foreign ? { ...body, assignments: [...body.assignments, foreign] } : body;
      });
    },
  },
  {
    name: "a poll's answer is older than it says",
    story: LIFE,
    finds: /lacks task|still wants/,
    install(sim) {
      const last = new Map<string, object[]>();
      onPolls(sim, (nodeId, body) => {
        const before = last.get(nodeId);
        last.set(nodeId, body.assignments);
        return before ? { ...body, assignments: before } : body;
      });
    },
  },
  {
    name: "a write that failed is acknowledged",
    story: FULL,
    finds: /which is not what it asked for/,
    install: (sim) =>
      sim.tamperServe = ({ method, path, status }, answer) => {
        const write = method === "PUT" && /\/v1\/services\/[^/]+$/.test(path);
        const body = JSON.stringify({ id: "0".repeat(26), version: "1" });
        return write && status >= 500 ? { status: 200, body } : answer;
      },
  },
  {
    name: "users are told that all is well",
    story: CROWD,
    finds: /is told to be/,
    install: (sim) => onList(sim, (service) => ({ ...service, phase: "running" })),
  },
  {
    name: "users are told of a task too many",
    story: LIFE,
    finds: /is told to run/,
    install: (sim) =>
      onList(sim, ({ counts, ...service }) => ({
        ...service,
        counts: { ...counts, running: counts.running + 1 },
      })),
  },
  {
    name: "a service is left out of the list",
    story: LIFE,
    finds: /is not told of/,
    install: (sim) => onList(sim, () => undefined),
  },
  {
    name: "engines start again what has ended",
    story: WORK,
    finds: /starts task|not finished|convergence/,
    install(sim) {
      sim.prepareNode = ({ engine }) => {
        const exit = engine.exit.bind(engine);
        engine.exit = (container, code, oomKilled) => {
          exit(container, code, oomKilled);
          sim.timeline.after(1_000, () => {
            if (engine.containers.has(container.taskId) && !container.running) {
              engine.start(container);
            }
          });
        };
      };
    },
  },
  {
    name: "containers cannot be stopped",
    story: LIFE,
    finds: /convergence/,
    install(sim) {
      sim.prepareNode = ({ engine }) => {
        engine.signal = () => {};
      };
    },
  },
  {
    name: "an agent stops everything when it is cut off",
    story: LOSS,
    finds: /ends the container of task/,
    install(sim) {
      sim.prepareNode = (node) => {
        const look = () => {
          const { process } = node;
          const cutOff = node.cut.fromMs > sim.timeline.nowMs;
          for (const { taskId, state } of cutOff ? node.control.containers() : []) {
            if (process?.alive && state === "running") sim.agentEnds(node, process, taskId);
          }
          sim.timeline.after(1_000, look);
        };
        sim.timeline.after(1_000, look);
      };
    },
  },
  {
    name: "nodes that live are not heard, again and again",
    story: LIFE,
    finds: /for dead|is taken for|is down/,
    install(sim) {
      sim.prepareNode = (node) => {
        const deafen = () => {
          // What polls say is thrown away for a while, again and again.
          node.cut.toMs = sim.timeline.nowMs + 10_000;
          sim.timeline.after(14_000, deafen);
        };
        sim.timeline.after(14_000, deafen);
      };
    },
  },
];

interface PollBody {
  assignments: object[];
}

/** Changes the answers to polls that have assignments, before anybody sees them. */
function onPolls(sim: Sim, change: (nodeId: string, body: PollBody) => PollBody): void {
  sim.tamperServe = ({ path, status }, answer) => {
    const nodeId = /\/v1\/nodes\/([^/]+)\/assignments/.exec(path)?.[1];
    if (nodeId === undefined || status !== 200) return answer;
    const body = JSON.parse(answer.body);
    if (!Array.isArray(body.assignments)) return answer;
    return { ...answer, body: JSON.stringify(change(nodeId, body)) };
  };
}

interface ListedService {
  counts: { running: number };
}

/** Changes each service of the list that users get. */
function onList(sim: Sim, change: (service: ListedService) => object | undefined): void {
  sim.tamperServe = ({ method, path, status }, answer) => {
    if (method !== "GET" || path !== "/v1/services" || status !== 200) return answer;
    const page = JSON.parse(answer.body);
    const items = page.items.flatMap((service: ListedService) => change(service) ?? []);
    return { ...answer, body: JSON.stringify({ ...page, items }) };
  };
}
