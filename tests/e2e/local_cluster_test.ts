import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { createClient } from "../../api/client.ts";
import { startCluster } from "../../cli/local/cluster.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { eventually } from "../support/eventually.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

Deno.test("a local server whose port somebody else takes while it starts gets another one", async () => {
  const dir = await Deno.makeTempDir({ prefix: "berth-dev-" });
  const news: string[] = [];
  const looked = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = looked.addr;
  looked.close();
  const starting = startCluster(
    {
      clock: systemClock,
      connect: ({ server, token = "" }) => Promise.resolve(createClient({ url: server, token })),
    },
    {
      ...{ root: ROOT, dir, prefix: "race", workers: 1, sim: true, port },
      ...{ cpus: 1, memoryMiB: 256, onNews: (line: string) => news.push(line) },
    },
  );
  // Its log is there once it was started, and it listens a while later.
  await eventually(() => Deno.stat(`${dir}/logs/server.log`).catch(() => undefined));
  const thief = Deno.listen({ hostname: "127.0.0.1", port });
  try {
    const started = await starting;
    if (!started.ok) throw new Error(started.message);
    assertNotEquals(new URL(started.cluster.url).port, String(port));
    assertMatch(news.join("\n"), new RegExp(`Port ${port} is taken: using \\d+`));
    assertEquals((await started.cluster.client.cluster()).ok, true);
    await started.cluster.stop();
  } finally {
    thief.close();
    await Deno.remove(dir, { recursive: true });
  }
});
