/**
 * What happens in a run, decided by the seed before it begins: moves of users and faults, one after
 * another. Each step has randomness of its own, so that leaving one out changes no other.
 *
 * @module
 */
import { type Fault, FAULT_KINDS, type FaultKind, FAULTS } from "./faults.ts";
import { type Move, MOVES } from "./moves.ts";
import { createRandom } from "./random.ts";
import type { Sim } from "./sim.ts";

export interface Step {
  /** From 1 on. */
  number: number;
  /** How long nothing else is done before the next step. */
  pauseMs: number;
  move?: Move;
  fault?: Fault;
}

/** What a cluster has before it gets into trouble. */
const FIRST_MOVES = [
  "store what tasks need",
  ...["create replicated", "create strict", "create global", "create job"] as const,
];
const FIRST_PAUSE_MS = { min: 100, max: 1_500 } as const;
/** How long the bad time is, about. */
const BAD_TIME_MS = 30_000;
const MEAN_PAUSE_MS = 400;
/** Some seeds are busy; in others things have time to go wrong one by one. */
const PACES = [0.7, 1, 2, 4] as const;
const MOVE_SHARES = [0.3, 0.5, 0.7] as const;
/** How many of the kinds of faults a seed has: all of them together hide what each could show. */
const KIND_SHARE = 0.7;

/** The kinds of faults that a seed has when nobody asks for others. */
export function kindsOf(seed: number): Set<FaultKind> {
  const random = createRandom(seed, "kinds");
  return new Set(FAULT_KINDS.filter(() => random.chance(KIND_SHARE)));
}

export function scriptOf(seed: number, kinds: ReadonlySet<FaultKind>): Step[] {
  const random = createRandom(seed, "script");
  const faults = FAULTS.filter(({ kind }) => kinds.has(kind));
  const [pace, moveShare] = [random.pick(PACES), random.pick(MOVE_SHARES)];
  const first = FIRST_MOVES.flatMap((name) => MOVES.filter((move) => move.name === name))
    .map((move, i): Step => {
      const pauseMs = random.between(FIRST_PAUSE_MS.min, FIRST_PAUSE_MS.max);
      return { number: i + 1, pauseMs, move };
    });
  const count = Math.round(BAD_TIME_MS / (MEAN_PAUSE_MS * pace));
  const rest = Array.from({ length: count }, (_, i): Step => {
    const number = first.length + i + 1;
    const pauseMs = random.between(0.1, 1.9) * MEAN_PAUSE_MS * pace;
    if (random.chance(moveShare)) return { number, pauseMs, move: random.weighted(MOVES) };
    return faults.length === 0
      ? { number, pauseMs }
      : { number, pauseMs, fault: random.weighted(faults) };
  });
  return [...first, ...rest];
}

/** Begins one step. A move goes on while other things happen. */
export function perform(sim: Sim, { number, move, fault }: Step): void {
  const random = sim.random(`step ${number}`);
  if (move) {
    sim.note(`${number}. move: ${move.name}`);
    move.run(sim, random).catch((error) => sim.bug(`move ${move.name}`, error));
  } else if (fault) {
    const whom = fault.run(sim, random);
    if (whom !== undefined) sim.note(`${number}. fault: ${fault.name} ${whom}`);
  }
}

/** `all`, `none`, or kinds of faults with commas between them; undefined when one is not known. */
export function parseFaults(text: string): Set<FaultKind> | undefined {
  if (text === "all") return new Set(FAULT_KINDS);
  if (text === "none") return new Set();
  const kinds = text.split(",").map((name) => FAULT_KINDS.find((kind) => kind === name.trim()));
  return kinds.every((kind) => kind !== undefined) ? new Set(kinds) : undefined;
}

/** Numbers of steps as `1-5,9`; undefined when it does not read as such. */
export function parseSteps(text: string): Set<number> | undefined {
  const steps = new Set<number>();
  for (const part of text.split(",")) {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (from === undefined) return undefined;
    for (let step = Number(from); step <= Number(to ?? from); step++) steps.add(step);
  }
  return steps;
}

export function formatSteps(steps: Iterable<number>): string {
  const parts: string[] = [];
  let from = 0, to = -1;
  for (const step of [...steps, Infinity].sort((a, b) => a - b)) {
    if (step === to + 1) {
      to = step;
      continue;
    }
    if (to >= from && from > 0) parts.push(from === to ? `${from}` : `${from}-${to}`);
    from = to = step;
  }
  return parts.join(",");
}
