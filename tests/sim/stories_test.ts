import { assertEquals } from "@std/assert";
import { runSeed, type Story } from "./run.ts";
import { DATA } from "./stories/data.ts";
import * as DAYS from "./stories/days.ts";
import { FOUND_OF_NODES } from "./stories/found_nodes.ts";
import { FOUND_OF_SERVICES } from "./stories/found_services.ts";
import { OPERATIONS } from "./stories/operations.ts";
import { STRICT_STORIES } from "./stories/strict.ts";

const MODES = ["resident", "request-driven"] as const;
/** A replica's memory may be as new or old as can be: what matters there differs by seed. */
const SEVERED_SEEDS = 12;

async function goesWell(story: Story, seeds: number): Promise<void> {
  for (const mode of MODES) {
    for (let seed = 1; seed <= seeds; seed++) {
      const { problem } = await runSeed({ seed, mode, story, database: "model" });
      assertEquals(problem, undefined, `${mode}, seed ${seed}: ${problem}`);
    }
  }
}

for (const [name, story] of Object.entries({ ...DAYS, DATA, OPERATIONS })) {
  Deno.test(`the story ${name} ends well`, () => goesWell(story, 2));
}

for (const [name, story] of Object.entries(STRICT_STORIES)) {
  Deno.test(`the story of a strict singleton, ${name}, ends well`, () =>
    goesWell(story, story === STRICT_STORIES.severed ? SEVERED_SEEDS : 3));
}

for (const [found, story] of Object.entries({ ...FOUND_OF_NODES, ...FOUND_OF_SERVICES })) {
  Deno.test(`found once, and not again: ${found}`, () => goesWell(story, 2));
}
