/**
 * Planted bugs in what strict singletons rely on: the agent's lease, the guard, the leader's wait, and what
 * an answer to a poll means.
 *
 * @module
 */
import type { Plant } from "./plants.ts";
import type { Sim } from "./sim.ts";
import { STRICT_STORIES } from "./stories/strict.ts";

const finds = /had two containers/;

export const STRICT_PLANTS: readonly Plant[] = [
  {
    name: "agents are told of a longer TTL than the leader goes by",
    finds,
    story: STRICT_STORIES.cutOff,
    install: (sim) => onAnswers(sim, (body) => ({ ...body, ttlMs: body.ttlMs * 4 })),
  },
  {
    name: "the leader gives nodes up sooner than it tells them",
    finds,
    story: STRICT_STORIES.cutOff,
    install(sim) {
      sim.leadersNodeTtlMs = 2_100;
    },
  },
  {
    name: "nobody guards the strict tasks of an agent that freezes",
    finds,
    story: STRICT_STORIES.freezes,
    install: unguarded,
  },
  {
    name: "nobody guards the strict tasks of an agent that died",
    finds,
    story: STRICT_STORIES.dies,
    // The agent is away for so long that it cannot see to them itself.
    seed: 4,
    install: unguarded,
  },
  {
    name: "agents are not told that a task is strict",
    finds,
    story: STRICT_STORIES.deaf,
    install: (sim) =>
      onAnswers(sim, ({ assignments, ...body }) => ({
        ...body,
        ...assignments ? { assignments: assignments.map(({ strict: _, ...one }) => one) } : {},
      })),
  },
  {
    name: "answers of a replica without a database extend leases",
    finds,
    story: STRICT_STORIES.severed,
    // The replica believes in the node's token for as long as can be.
    seed: 9,
    install: (sim) => onAnswers(sim, ({ unheardMs: _, ...body }) => body),
  },
];

interface PollBody {
  ttlMs: number;
  unheardMs?: number;
  assignments?: { strict?: boolean }[];
}

/** Changes what agents are told by the answers to their polls. */
function onAnswers(sim: Sim, change: (body: PollBody) => object): void {
  sim.tamperServe = ({ path, status }, answer) => {
    if (!path.includes("/assignments") || status !== 200) return answer;
    return { ...answer, body: JSON.stringify(change(JSON.parse(answer.body))) };
  };
}

function unguarded(sim: Sim): void {
  sim.prepareNode = (node) => node.guarded = false;
}
