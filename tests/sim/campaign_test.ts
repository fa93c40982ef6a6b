import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { saveProgress } from "../support/progress_file.ts";
import { Count, runCampaign, summaryOf } from "./campaign.ts";
import { codeDigest, decidingFiles } from "./code.ts";

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(`${dir}/count.json`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const SETTINGS = { faults: "none" };

Deno.test("a count that is gone on with in threads is that of one run, and says so in a line", () =>
  withFile(async (resume) => {
    const printed: string[] = [];
    const print = (line: string) => void printed.push(line);
    const first = await runCampaign({ from: 3, count: 1, jobs: 1, resume, print }, SETTINGS);
    const all = await runCampaign({ from: 3, count: 3, jobs: 2, resume, print }, SETTINGS);
    assert(typeof first === "object" && typeof all === "object");
    assertEquals([first.next, all.next, all.from, all.broken], [4, 6, 3, []]);
    assert(all.seconds >= first.seconds && all.commit === first.commit);
    assertStringIncludes(printed.join("\n"), "going on from seed 4");
    assertEquals(Count.parse(JSON.parse(await Deno.readTextFile(resume))), all);
    assertStringIncludes(summaryOf(all), "3 seeds held, 0 broke (3 to 5)");
    assertStringIncludes(summaryOf(all), `code ${await codeDigest()}`);
  }));

Deno.test("a count of other code, other seeds or other flags is left as it is", () =>
  withFile(async (resume) => {
    const code = await codeDigest();
    const count = { commit: "c", code, settings: {}, from: 1, next: 9, broken: [], seconds: 1 };
    for (const other of [{ code: "0" }, { from: 2 }, { settings: { mode: "resident" } }]) {
      await saveProgress(resume, { ...count, ...other });
      const text = await Deno.readTextFile(resume);
      const refused = await runCampaign({ from: 1, count: 9, jobs: 1, resume, print() {} }, {});
      assert(typeof refused === "string", JSON.stringify(other));
      assertStringIncludes(refused, "Name another file");
      assertEquals(await Deno.readTextFile(resume), text);
    }
  }));

Deno.test("the code of a count is what decides histories: the program and the simulation, no more", async () => {
  const files = await decidingFiles();
  for (
    const path of [
      ...["api/app.ts", "api/client.ts", "kv/schema/task_state.ts", "scheduler/place.ts"],
      ...["worker/step.ts", "tests/sim/checker.ts", "tests/sim/specs.ts", "tests/sim/rules/fit.ts"],
      "tests/support/memory_kv.ts",
    ]
  ) assert(files.includes(path), path);
  for (const path of files) {
    assert(!/^(cli|docs)\/|_test\.ts$|^tests\/sim\/(main|campaign)\.ts$/.test(path), path);
    assert((await Deno.stat(new URL(`../../${path}`, import.meta.url))).isFile, path);
  }
});
