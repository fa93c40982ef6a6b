import { assertEquals } from "@std/assert";
import { engineTest, ensureTestImage } from "../support/engine.ts";
import { runCampaign } from "./kills/campaign.ts";
import { killsOf, newProgress } from "./kills/progress.ts";

engineTest(
  "of what is asked for, nothing is lost, doubled or left behind, whoever is killed at whatever moment",
  async (connection) => {
    await ensureTestImage(connection);
    const dir = await Deno.makeTempDir({ prefix: "berth-kills-" });
    const progress = newProgress(1, `kills-${crypto.randomUUID().slice(0, 8)}`);
    const said: string[] = [];
    try {
      await runCampaign({
        ...{ connection, dir, kills: 16, tasks: 24, killsPerLeg: 16, workers: 2, everyMs: 700 },
        newKey: () => crypto.randomUUID(),
        say: (line) => said.push(line),
        save: () => Promise.resolve(),
        signal: new AbortController().signal,
      }, progress);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
    assertEquals(progress.findings, [], said.join("\n"));
    assertEquals(killsOf(progress), 16);
  },
);
