import { assert } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { startServer, startWorker } from "../support/processes.ts";

Deno.test("a node's agent restarts when asked to: in place, or by an exit with 75", async () => {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const bare = await startWorker(server, { name: "bare", stateDir: dir, args: ["--sim"] });
  const watched = await startWorker(server, {
    ...{ name: "watched", stateDir: dir, args: ["--sim", "--supervised"] },
  });
  try {
    assert((await server.client.restartNode("bare")).ok);
    await eventually(() => bare.log().split("agent runs").length === 3, {
      what: "the agent to run for the second time",
    });
    assert((await server.client.restartNode("watched")).ok);
    await eventually(() => watched.log().includes("restarting, as asked"), {
      what: "the worker to end",
    });
    assert(await watched.stop("SIGCONT") === 75);
    const node = await server.client.getNode("bare");
    assert(node.ok && node.value.status.state === "ready");
    assert(bare.log().split("restarting, as asked").length === 2, "once");
  } finally {
    await bare.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
