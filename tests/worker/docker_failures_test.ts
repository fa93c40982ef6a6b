/**
 * Engines that do not answer, answer wrongly or break off: a socket with a fake engine behind it.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Assignment, ExecOptions, LogsOptions } from "../../kv/schema/agent.ts";
import type { Outcome, Runtime } from "../../worker/runtime.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { importBusyboxImage, isStaticElf } from "../../worker/docker/offline_image.ts";
import { idOf } from "../support/ids.ts";

const TASK = idOf(1);
const ASSIGNMENT = Assignment.parse({
  taskId: TASK,
  serviceId: idOf(2),
  service: "web",
  project: "default",
  slot: 1,
  revision: 1,
  desired: "run",
  template: { image: "nginx" },
});
const soon = () => AbortSignal.timeout(5000);

async function withSocket(fn: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await fn(`${dir}/engine.sock`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function withRuntime(path: string, fn: (runtime: Runtime) => Promise<void>): Promise<void> {
  const connection = { kind: "socket" as const, path, description: path };
  const runtime = createDockerRuntime({ connection, nodeId: "n1" });
  try {
    await fn(runtime);
  } finally {
    await runtime.close();
  }
}

/** A runtime on an engine that answers as `handler` says. */
function withEngine(
  handler: (request: Request, path: string) => Response | Promise<Response>,
  fn: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  return withSocket(async (path) => {
    const answer = (request: Request) => handler(request, new URL(request.url).pathname);
    const server = Deno.serve({ path, onListen: () => {} }, answer);
    try {
      await withRuntime(path, fn);
    } finally {
      await server.shutdown();
    }
  });
}

const says = (status: number, message: string) => Response.json({ message }, { status });

function failed(outcome: Outcome<unknown>, kind: string, part = ""): void {
  assert(!outcome.ok, "the call succeeded");
  assertEquals(outcome.kind, kind, outcome.message);
  assertStringIncludes(outcome.message, part);
  assert(!outcome.message.includes("\n"), "more than one line");
}

const calls: Record<string, (runtime: Runtime, signal: AbortSignal) => Promise<Outcome<unknown>>> =
  {
    info: (r, signal) => r.info(signal),
    list: (r, signal) => r.list(signal),
    inspect: (r, signal) => r.inspect(TASK, signal),
    pull: (r, signal) => r.pull("nginx", "always", { signal }),
    create: (r, signal) => r.create(ASSIGNMENT, signal),
    start: (r, signal) => r.start(TASK, signal),
    stop: (r, signal) => r.stop(TASK, { signal, graceMs: 0 }),
    remove: (r, signal) => r.remove(TASK, signal),
    logs: (r, signal) => r.logs(TASK, LogsOptions.parse({}), signal),
    exec: (r, signal) => r.exec(TASK, ExecOptions.parse({ command: ["true"] }), signal),
  };

Deno.test("an engine that accepts and never answers: every call ends at its deadline", async () => {
  await withSocket(async (path) => {
    const listener = Deno.listen({ transport: "unix", path });
    const accepted: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of listener) accepted.push(connection);
    })();
    await withRuntime(path, async (runtime) => {
      for (const [name, call] of Object.entries(calls)) {
        const begun = performance.now();
        failed(await call(runtime, AbortSignal.timeout(200)), "unavailable", "deadline");
        assert(performance.now() - begun < 1000, `${name} took too long`);
      }
      for await (const _ of runtime.events(AbortSignal.timeout(200))) throw new Error("an event");
    });
    listener.close();
    await accepting;
    for (const connection of accepted) connection.close();
  });
});

Deno.test("headers without a body: the deadline still holds", async () => {
  const open = () =>
    new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array([91])) }));
  await withEngine(open, async (runtime) => {
    for (const name of ["info", "list", "inspect", "pull"]) {
      const begun = performance.now();
      const outcome = await calls[name]?.(runtime, AbortSignal.timeout(200));
      assert(outcome, name);
      failed(outcome, "unavailable", "deadline");
      assert(performance.now() - begun < 1000, `${name} took too long`);
    }
  });
});

Deno.test("no engine behind the socket is unavailable", async () => {
  await withSocket(async (path) => {
    await withRuntime(path, async (runtime) => {
      for (const call of Object.values(calls)) failed(await call(runtime, soon()), "unavailable");
      for await (const _ of runtime.events(soon())) throw new Error("an event");
    });
  });
});

Deno.test("an engine that restarted costs a call nothing: a dead pooled connection is replaced", async () => {
  await withSocket(async (path) => {
    const serve = () => Deno.serve({ path, onListen: () => {} }, () => Response.json([]));
    await withRuntime(path, async (runtime) => {
      for (let restart = 0; restart < 3; restart++) {
        const server = serve();
        const listed = await runtime.list(soon());
        assertEquals(listed, { ok: true, value: [] });
        await server.shutdown();
        await Deno.remove(path).catch(() => {});
      }
    });
  });
});

Deno.test("a 5xx is unavailable, a 4xx is refused, in the engine's words", async () => {
  await withEngine(() => says(503, "engine is\nshutting down"), async (runtime) => {
    failed(await runtime.list(soon()), "unavailable", "engine is shutting down");
    failed(await runtime.create(ASSIGNMENT, soon()), "unavailable", "shutting down");
  });
  await withEngine(() => says(400, "invalid CPU count"), async (runtime) => {
    const outcome = await runtime.create(ASSIGNMENT, soon());
    assertEquals(outcome, { ok: false, kind: "refused", message: "invalid CPU count" });
  });
});

Deno.test("a start that fails through the container is refused, through the engine unavailable", async () => {
  const start = (message: string) =>
    withEngine(
      (_request, path) =>
        path.endsWith("/start")
          ? says(500, message)
          : Response.json([{ Id: "c1", Labels: { "berth.task": TASK } }]),
      async (runtime) => {
        const own = !/shutting|deadline/.test(message);
        failed(await runtime.start(TASK, soon()), own ? "refused" : "unavailable", message);
      },
    );
  await start("driver failed: Bind for 0.0.0.0:80 failed: port is already allocated");
  await start('OCI runtime create failed: exec: "nope": executable file not found in $PATH');
  await start("failed to bind host port: address already in use");
  await start("the engine is shutting down");
  await start("context deadline exceeded");
});

Deno.test("a start that finds the container being removed by somebody is to be tried again", async () => {
  const said = "container is marked for removal and cannot be started";
  await withEngine(
    (_, path) =>
      path.endsWith("/start")
        ? says(409, said)
        : Response.json([{ Id: "c1", Labels: { "berth.task": TASK } }]),
    async (runtime) => {
      failed(await runtime.start(TASK, soon()), "unavailable", said);
    },
  );
});

Deno.test("a container restarted while a list is under way is looked at again by the next", async () => {
  let runs = 1;
  let inspects = 0;
  let runtime: Runtime | undefined;
  const status = () => ({
    Id: "c1",
    Config: { Labels: { "berth.task": TASK } },
    State: {
      Status: "running",
      ExitCode: 0,
      OOMKilled: false,
      Error: "",
      StartedAt: `2026-01-02T03:04:0${runs}Z`,
      FinishedAt: "0001-01-01T00:00:00Z",
    },
    NetworkSettings: { Ports: {} },
  });
  const engine = async (_request: Request, path: string) => {
    if (path.endsWith("/start")) {
      runs++;
      return new Response(null, { status: 204 });
    }
    if (!path.endsWith("/c1/json")) {
      const labels = { "berth.task": TASK };
      return Response.json([{ Id: "c1", State: "running", Status: "Up", Labels: labels }]);
    }
    const seen = status();
    if (++inspects === 1) await runtime?.start(TASK, soon());
    return Response.json(seen);
  };
  await withEngine(engine, async (made) => {
    runtime = made;
    const startedAt = async () => {
      const listed = await made.list(soon());
      return listed.ok && listed.value[0]?.startedAt;
    };
    assertEquals(await startedAt(), "2026-01-02T03:04:01Z");
    assertEquals(await startedAt(), "2026-01-02T03:04:02Z");
    assertEquals(await startedAt(), "2026-01-02T03:04:02Z");
    assertEquals(inspects, 2);
  });
});

Deno.test("a pull's error comes in its stream: no such image is refused, a network error is not", async () => {
  const pull = async (body: string, status = 200) => {
    let outcome: Outcome | undefined;
    const lines: string[] = [];
    await withEngine(
      (request) =>
        request.method === "POST" ? new Response(body, { status }) : says(404, "no such image"),
      async (runtime) => {
        outcome = await runtime.pull("nginx", "missing", {
          signal: soon(),
          onProgress: (line) => lines.push(line),
        });
      },
    );
    assert(outcome);
    return { outcome, lines };
  };
  const line = (value: unknown) => `${JSON.stringify(value)}\r\n`;
  const absent = await pull(
    line({ status: "Downloading", id: "l1", progressDetail: { current: 1024, total: 4096 } }) +
      line({ error: "manifest for nginx not found" }),
  );
  failed(absent.outcome, "refused", "pull nginx: manifest for nginx not found");
  assertEquals(absent.lines, ["pulling 1 of 4 KiB"]);
  failed((await pull(line({ error: "dial tcp: i/o timeout" }))).outcome, "unavailable", "timeout");
  const denied = await pull(line({ message: "pull access denied" }), 404);
  failed(denied.outcome, "refused", "pull access denied");
  const offline = await pull(line({ message: "Get https://registry: no such host" }), 500);
  failed(offline.outcome, "unavailable", "no such host");
  // The stream ended early and the image is not there.
  failed((await pull(line({ status: "Pulling" }))).outcome, "unavailable", "no such image");
});

Deno.test("without a static busybox the offline image says which package to install", async () => {
  const connection = { kind: "socket" as const, path: "/absent.sock", description: "absent" };
  const options = { tag: "x:1", cmd: ["sh"], signal: soon(), busyboxPaths: ["/absent/busybox"] };
  failed(
    await importBusyboxImage(connection, options),
    "refused",
    "apt-get install busybox-static",
  );
  assertEquals(isStaticElf(new TextEncoder().encode("#!/bin/sh\n".repeat(10))), false);
});
