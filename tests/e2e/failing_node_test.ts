import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { startServer, startWorker } from "../support/processes.ts";

Deno.test("a node where tasks keep failing says so, in its view, in the events and in why", async () => {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
  try {
    const { client } = server;
    const created = await client.createService({
      name: "broken",
      template: { image: "busybox:1", env: { SIM_EXIT: "1" }, restart: { maxAttempts: 0 } },
    });
    assert(created.ok);
    const { id } = created.value;
    const why = await eventually(async () => {
      const node = await client.getNode("n1");
      return node.ok ? node.value.status.failing?.[id] : undefined;
    }, { timeoutMs: 20_000, what: "the node to be called failing" });
    assertStringIncludes(why, "tasks of default/broken failed there within 5 minutes");
    const listed = await client.listEvents({ last: 100 });
    assert(listed.ok);
    const events = listed.value.items.filter(({ type }) => type === "node.failing");
    assertEquals(events.map(({ node, service }) => [node, service]), [["n1", "default/broken"]]);
    const told = await client.why("broken.1");
    assert(told.ok);
    assertEquals(told.value.nodes[0]?.scores?.failing, 1);
  } finally {
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
