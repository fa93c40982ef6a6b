import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ranBerth } from "../support/berth.ts";
import { startServer, startWorker } from "../support/processes.ts";

Deno.test("a rollout on the command line: update, status, history, undo, canary, promote", async () => {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
  const berth = (line: string) => ranBerth({ server, configDir: dir }, line.split(" "));
  try {
    const flags =
      "--update-monitor 100ms --update-order start-first --update-failure-action rollback";
    assertEquals((await berth(`run -d --name web --replicas 3 ${flags} sim/app:1`)).code, 0);
    assertEquals((await berth("start web")).code, 0);
    const updated = await berth("update -e LEVEL=debug web");
    assertEquals([updated.code, updated.err], [0, ""]);
    assertEquals(updated.out, "web: revision 2 done: 3 of 3 slots serve\n");
    assertMatch((await berth("rollout history web")).out, /^2 \* .*env \+LEVEL$/m);
    const undone = await berth("rollout undo web");
    assertEquals(undone.code, 0, undone.err);
    assertStringIncludes(undone.out, "web: went back to revision 1: 3 of 3 slots serve");
    assertEquals((await berth("rollout pause web")).code, 4, "nothing is under way");

    const canary = await berth("update --update-strategy canary --canary 1 -e LEVEL=info web");
    assertStringIncludes(canary.out, "revision 3 waiting-promote: 1 of 3 slots updated");
    assertEquals((await berth("rollout promote web")).code, 0);
    const done = await berth("rollout status -f web");
    assertEquals(done.out, "web: revision 3 done: 3 of 3 slots serve\n");

    const failing = await berth("update --update-strategy rolling web -- sh -c false");
    assertEquals(failing.code, 1, failing.out);
    assertMatch(failing.out, /revision 4 rolled-back to 3: 3 of 3 slots serve\n +1 of 3 slots/);
  } finally {
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
