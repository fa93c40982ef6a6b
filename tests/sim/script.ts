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

const STEPS = { min: 50, more: 60 } as const;
const MOVE_SHARE = 0.5;
const PAUSE_MS = { min: 50, max: 800 } as const;

export function scriptOf(seed: number, kinds: ReadonlySet<FaultKind>): Step[] {
  const random = createRandom(seed, "script");
  const faults = FAULTS.filter(({ kind }) => kinds.has(kind));
  const count = STEPS.min + random.int(STEPS.more);
  return Array.from({ length: count }, (_, i): Step => {
    const number = i + 1;
    const moves = random.chance(MOVE_SHARE);
    const pauseMs = random.between(PAUSE_MS.min, PAUSE_MS.max);
    if (moves) return { number, pauseMs, move: random.weighted(MOVES) };
    return faults.length === 0 ? { number, pauseMs } : {
      number,
      pauseMs,
      fault: random.weighted(faults),
    };
  });
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
