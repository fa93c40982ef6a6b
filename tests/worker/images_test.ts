import { assertEquals, assertStringIncludes } from "@std/assert";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const [task, next] = [idOf(1), idOf(2)];
const digestOf = (n: number) => `sha256:${String(n).repeat(64)}`;
const APP = "shop/app:1";
/** A task of a service that has others. */
const replica = (n: number, template: Parameters<typeof assignmentOf>[1] = {}) => ({
  ...assignmentOf(n, template),
  serviceId: idOf(50),
});
const LOGIN = {
  ...{ registry: "docker.io", host: "docker.io" },
  ...{ username: "ann", password: "canary-4410" },
};

Deno.test("the first start settles what the tag stands for, and the container is of that digest", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  control.push(APP, digestOf(1));
  server.assign(assignmentOf(1, { image: APP }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  assertEquals(server.digest, digestOf(1));
  assertEquals(control.containers().map(({ image }) => image), [`shop/app@${digestOf(1)}`]);
});

Deno.test("what another node settled before holds, whatever this one has or finds", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  control.push(APP, digestOf(2));
  server.digest = digestOf(1);
  const told = { ...assignmentOf(2, { image: APP }), digest: digestOf(1) };
  server.assign(assignmentOf(1, { image: APP }), told);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the first to run");
    await world.until(() => server.stateOf(next) === "1 running", "the second to run");
  });
  const images = control.containers().map(({ image }) => image);
  assertEquals(images, [`shop/app@${digestOf(1)}`, `shop/app@${digestOf(1)}`]);
});

Deno.test("an image that was made here is run as it is: tasks that start together look once", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(replica(1), replica(2));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the first to run");
    await world.until(() => server.stateOf(next) === "1 running", "the second to run");
  });
  const calls = [control.calls("imageDigest"), control.calls("pull"), server.loginsAsked];
  assertEquals([server.digest, ...calls], [undefined, 1, 0, 0]);
  assertEquals(control.containers().map(({ image }) => image), ["busybox:1", "busybox:1"]);
});

Deno.test("an image with a digest, and one that is never pulled, are nothing to settle", async () => {
  const world = createAgentWorld();
  const { server } = world;
  server.assign(
    assignmentOf(1, { image: `shop/app@${digestOf(3)}` }),
    assignmentOf(2, { pullPolicy: "never" }),
  );
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the first to run");
    await world.until(() => server.stateOf(next) === "1 running", "the second to run");
  });
  assertEquals(server.digest, undefined);
});

Deno.test("when another node was first, what it settled is pulled instead of what came", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  control.push(APP, digestOf(2));
  server.digest = digestOf(1);
  server.assign(assignmentOf(1, { image: APP }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  assertEquals(control.containers().map(({ image }) => image), [`shop/app@${digestOf(1)}`]);
});

Deno.test("a tag that this node has is looked up anew for a revision that asks for it, or always", async () => {
  for (const how of ["missing", "pull", "always"] as const) {
    const world = createAgentWorld();
    const { server, control } = world;
    control.push(APP, digestOf(1));
    server.assign(replica(1, { image: APP }));
    await world.running(async () => {
      await world.until(() => server.stateOf(task) === "1 running", "the first to run");
      control.push(APP, digestOf(2));
      server.digest = undefined;
      server.assign({
        ...replica(2, { image: APP, pullPolicy: how === "always" ? how : "missing" }),
        revision: 2,
        ...(how === "pull" ? { pull: true } : {}),
      });
      await world.until(() => server.stateOf(next) === "1 running", "the second to run");
    });
    assertEquals(server.digest, digestOf(how === "missing" ? 1 : 2), how);
  }
});

Deno.test("a digest that is settled is not pulled again, whatever the pull policy", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  control.push(APP, digestOf(1));
  const always = { image: APP, pullPolicy: "always" } as const;
  server.assign(replica(1, always));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the first to run");
    const pulls = control.calls("pull");
    server.assign(replica(1, always), replica(2, always));
    await world.until(() => server.stateOf(next) === "1 running", "the second to run");
    assertEquals(control.calls("pull"), pulls);
  });
});

Deno.test("an image with a digest waits to be settled while the server is away", async () => {
  const world = createAgentWorld();
  const { server, control, logs } = world;
  control.push(APP, digestOf(1));
  server.assign(assignmentOf(1, { image: APP }));
  server.settleFails = true;
  await world.running(async () => {
    await world.until(
      () => JSON.stringify(logs).includes(`cannot settle what ${APP} stands for`),
      "it to be said",
    );
    assertEquals(control.containers(), []);
    server.settleFails = false;
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
});

for (
  const [login, advice] of [
    [undefined, "there are no credentials for docker.io: berth login docker.io"],
    [LOGIN, "the credentials of ann for docker.io do not do: berth login docker.io"],
  ] as const
) {
  Deno.test(`a pull that is denied says what to do: ${advice}`, async () => {
    const world = createAgentWorld();
    const { server, control } = world;
    control.failPull(APP);
    server.login = login;
    server.assign(assignmentOf(1, { image: APP }));
    await world.running(async () => {
      await world.until(() => server.stateOf(task) === "1 rejected", "it to be rejected");
    });
    assertStringIncludes(server.rows.get(task)?.message ?? "", advice);
  });
}

Deno.test("a digest that its registry has no more is not replaced by what the tag is now: why says how", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  control.push(APP, digestOf(2));
  control.failPull(`shop/app@${digestOf(1)}`, "manifest unknown");
  server.assign({ ...replica(1, { image: APP }), digest: digestOf(1) });
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 rejected", "it to be rejected");
  });
  assertStringIncludes(
    server.rows.get(task)?.message ?? "",
    "--pull` takes what shop/app:1 is now",
  );
});

Deno.test("a pull waits for its credentials while the server is away, and says so", async () => {
  const world = createAgentWorld();
  const { server, logs } = world;
  server.assign(assignmentOf(1, { image: "far/away:1" }));
  const agent = world.agent();
  await world.clock.until(agent.pollOnce(new AbortController().signal));
  server.failure = { kind: "unreachable", message: "cannot reach the server" };
  await world.clock.until(agent.reconcileOnce(new AbortController().signal));
  assertStringIncludes(JSON.stringify(logs), "cannot get the credentials for the pull");
  assertEquals(agent.rows().map(({ state }) => state), ["preparing"]);
  server.failure = undefined;
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  }, agent);
});

Deno.test("credentials are asked for each pull, and are in no state, log or report", async () => {
  const world = createAgentWorld();
  const { server, store, logs } = world;
  server.login = LOGIN;
  server.assign(assignmentOf(1, { image: "far/away:1" }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  assertEquals(server.loginsAsked > 0, true);
  for (const text of [store.text ?? "", JSON.stringify(logs), JSON.stringify(server.reports)]) {
    assertEquals(text.includes("canary-4410"), false);
  }
});
