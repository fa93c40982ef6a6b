import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { parse } from "yaml";
import { exitOf } from "../../cli/exit.ts";
import { widthOf } from "../../cli/format/style.ts";
import { EventType } from "../../kv/schema/event.ts";
import { ServiceSpec, ServiceView } from "../../kv/schema/service.ts";
import {
  berth,
  type Handler,
  ID,
  nodeView,
  NOW,
  oneService,
  problem,
  serviceView,
  taskView,
} from "./support.ts";

Deno.test("lists fit the terminal, and are not cut without one", async () => {
  for (const args of [["ps", "-a"], ["services"], ["nodes"]]) {
    for (const columns of [60, 80, 120, 200]) {
      const { out, code } = await berth(args, { columns, handler: oneService });
      assertEquals(code, 0);
      for (const line of out.split("\n")) assert(widthOf(line) <= columns, `${columns}: ${line}`);
    }
    const { out } = await berth(args, { handler: oneService });
    assertFalse(out.includes("…"), out);
    assertFalse(out.includes("\x1b"), "no colours without a terminal");
  }
});

Deno.test("ps tells revisions while tasks of a service have different ones", async () => {
  const listed = async (revision: number) => {
    const items = [taskView(), taskView({ id: ID.task2, slot: 2, revision })];
    const handler = ({ url }: Request) =>
      Response.json({ items: new URL(url).pathname === "/v1/tasks" ? items : [] });
    const lines = (await berth(["ps"], { handler })).out.trim().split("\n");
    const at = lines[0]?.indexOf("REV ") ?? -1;
    return at < 0 ? [] : lines.map((line) => line.slice(at, at + 3).trim());
  };
  assertEquals(await listed(1), []);
  assertEquals(await listed(2), ["REV", "1", "2"]);
});

Deno.test("each type of event fits its column", async () => {
  const at = "2026-01-31T10:00:00.000Z";
  const items = EventType.options.map((type) => ({ id: "1.0", at, type, service: "default/shop" }));
  const { out } = await berth(["events"], { handler: () => Response.json({ items }) });
  const columns = out.trim().split("\n").map((line) => line.indexOf("shop"));
  assertEquals([...new Set(columns)].length, 1, out);
});

Deno.test("colours are for terminals, and can be refused", async () => {
  const setting = { columns: 80, handler: oneService };
  assertStringIncludes((await berth(["ps"], setting)).out, "\x1b[");
  assertFalse((await berth(["ps", "--no-color"], setting)).out.includes("\x1b["));
  assertFalse((await berth(["--no-color", "ps"], setting)).out.includes("\x1b["));
});

Deno.test("-o json and -o yaml print what the API answered, for every list and thing", async () => {
  const lines = [["ps"], ["services"], ["service", "ls"], ["nodes"], ["node", "ls"]];
  for (const args of [...lines, ["inspect", "storefront"]]) {
    const json = await berth([...args, "-o", "json"], { handler: oneService });
    const yaml = await berth(["-o", "yaml", ...args], { handler: oneService });
    assertEquals(json.code, 0);
    assertEquals(parse(yaml.out), JSON.parse(json.out));
  }
});

Deno.test("project/name, as lists print it, is understood wherever a name is", async () => {
  const asked: string[] = [];
  const handler = (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    asked.push(`${pathname} ${searchParams.get("project")}`);
    return Response.json(problem(404), { status: 404 });
  };
  const commands = [["stop"], ["start"], ["rm", "-f"], ["logs"], ["why"], ["ps"], ["inspect"]];
  for (const args of commands) {
    asked.length = 0;
    assertEquals((await berth([...args, "shop/web"], { handler })).code, 3, args[0]);
    assertEquals(asked[0], "/v1/services/web shop", args[0]);
  }
});

Deno.test("a start loads the command framework and no other package", async () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    const imports = text.matchAll(/^(?:import|export)(?! type)[^;]*? from "([^"]+)";/gm);
    for (const [, target = ""] of imports) {
      if (target.startsWith(".")) await visit(new URL(target, `file:///${path}`).pathname.slice(1));
      else packages.add(target);
    }
  };
  await visit("cli/main.ts");
  assertEquals([...packages], ["commander"]);
});

Deno.test("ps shows the port that every node listens on, and else the one of its task's node", async () => {
  const published = (more: Record<string, unknown>) => async (request: Request) => {
    if (!new URL(request.url).pathname.startsWith("/v1/services")) return oneService(request);
    const { template } = serviceView();
    const ports = [{ ...PORT, ...more }];
    const ingressPorts = [{ target: 80, protocol: "tcp", published: 8003 }];
    const view = serviceView({ template: { ...template, ports }, ingressPorts });
    return await Promise.resolve(
      Response.json(new URL(request.url).pathname === "/v1/services" ? { items: [view] } : view),
    );
  };
  const PORT = { target: 80, protocol: "tcp", mode: "ingress" };
  const cases: [Record<string, unknown>, string][] = [
    [{ published: 8080 }, " 8080→80 "],
    [{ published: { from: 8000, to: 8009 } }, " 8003→80 "],
    [{}, ":32768→80 "],
    [{ published: 32768, mode: "host" }, ":32768→80 "],
  ];
  for (const [more, shown] of cases) {
    for (const args of [["ps"], ["ps", "storefront"]]) {
      const { out, code } = await berth(args, { handler: published(more) });
      assertEquals(code, 0);
      assertStringIncludes(out, shown, JSON.stringify([args, more]));
    }
  }
});

Deno.test("a task between two starts in place is restarting, not preparing", async () => {
  const between = taskView({ state: "preparing" });
  const message = "exited with 3, restarting in 8 s";
  const observed = { ...between.observed, state: "preparing", attempt: 4, message };
  const handler = () => Response.json({ items: [{ ...between, ready: false, observed }] });
  const { out } = await berth(["ps"], { handler });
  assertMatch(out, / restarting +\S+ +3 /);
  assertFalse(out.includes("preparing"));
});

Deno.test("--quiet prints names or ids, one per line", async () => {
  const quiet = async (...args: string[]) =>
    (await berth([...args, "-q"], { handler: oneService })).out;
  assertEquals(await quiet("services"), "storefront\n");
  assertEquals(await quiet("nodes"), "rack-7-machine-12\n");
  assertEquals(await quiet("ps"), `${ID.task1}\n${ID.task2}\n`);
});

Deno.test("a list is read page by page to its end", async () => {
  const cursors: (string | null)[] = [];
  const { out } = await berth(["nodes", "-q"], {
    handler: (request) => {
      const cursor = new URL(request.url).searchParams.get("cursor");
      cursors.push(cursor);
      const page = Number(cursor ?? 0);
      return Response.json({
        items: [nodeView({ name: `n${page}` })],
        ...(page < 2 ? { next: String(page + 1) } : {}),
      });
    },
  });
  assertEquals([out, cursors], ["n0\nn1\nn2\n", [null, "1", "2"]]);
});

Deno.test("exit codes follow from what the server said", () => {
  const cases: [number, number][] = [
    [400, 2],
    [422, 2],
    [401, 5],
    [403, 5],
    [404, 3],
    [409, 4],
    [
      412,
      4,
    ],
    [428, 4],
    [408, 7],
    [504, 7],
    [502, 6],
    [503, 6],
    [500, 1],
    [418, 1],
  ];
  for (const [status, code] of cases) {
    assertEquals(exitOf({ kind: "problem", problem: problem(status) }), code, String(status));
  }
  assertEquals(exitOf({ kind: "unreachable", message: "" }), 6);
  assertEquals(exitOf({ kind: "protocol", message: "" }), 1);
});

Deno.test("every failure names what was tried and says what to do next", async () => {
  for (const status of [400, 401, 403, 404, 409, 412, 500, 503]) {
    const { code, err, out } = await berth(["inspect", "x"], {
      handler: () => Response.json(problem(status, { detail: "the detail" }), { status }),
    });
    assert(code !== 0);
    assertEquals(out, "");
    assertMatch(err, /^berth: .+\n {2}→ .+\n/);
  }
  const html = await berth(["nodes"], {
    handler: () => new Response("<html>", { status: 200 }),
  });
  assertEquals(html.code, 1);
});

Deno.test("no failure prints the token", async () => {
  for (const status of [401, 500]) {
    const { err } = await berth(["ps"], {
      handler: () => Response.json(problem(status), { status }),
    });
    assertFalse(err.includes("t0ken"));
  }
  const { out } = await berth(["context", "show"], { handler: oneService });
  assertFalse(out.includes("t0ken"));
});

Deno.test("without a server known, a command says how to get one and ends with 2", async () => {
  const { code, err } = await berth(["ps"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "deno task dev");
  assertEquals((await berth(["run", "--rm", "x"])).code, 125);
});

Deno.test("stop sends the whole spec with If-Match, and tries again after a conflict", async () => {
  const puts: { ifMatch: string | null; body: unknown }[] = [];
  const { code, out } = await berth(["stop", "storefront", "--no-wait"], {
    handler: async (request) => {
      if (request.method !== "PUT") {
        return Response.json(serviceView({ version: `v${puts.length}` }));
      }
      puts.push({ ifMatch: request.headers.get("if-match"), body: await request.json() });
      return puts.length === 1
        ? Response.json(problem(412), { status: 412 })
        : Response.json(serviceView({ stopped: true }));
    },
  });
  assertEquals([code, out], [0, "storefront\n"]);
  assertEquals(puts.map((put) => put.ifMatch), ["v0", "v1"]);
  const { name, project, stopped } = puts[1]?.body as Record<string, unknown>;
  assertEquals([name, project, stopped], ["storefront", "default", true]);
});

Deno.test("waiting is bounded: 7 when it takes longer than it was given", async () => {
  const { code, err } = await berth(["stop", "storefront", "--timeout", "30ms"], {
    handler: (request) =>
      Response.json(serviceView(request.method === "PUT" ? { stopped: true } : {})),
  });
  assertEquals(code, 7);
  assertStringIncludes(err, "--timeout");
});

Deno.test("rm refuses a running service, and takes it with -f", async () => {
  let deleted = false;
  const handler = (request: Request) => {
    if (request.method === "DELETE") {
      deleted = true;
      return Response.json(serviceView({ deleting: true }));
    }
    return deleted ? Response.json(problem(404), { status: 404 }) : Response.json(serviceView());
  };
  const refused = await berth(["rm", "storefront"], { handler });
  assertEquals([refused.code, deleted], [4, false]);
  assertStringIncludes(refused.err, "rm -f storefront");
  const forced = await berth(["rm", "-f", "storefront"], { handler });
  assertEquals([forced.code, forced.out, deleted], [0, "storefront\n", true]);
});

Deno.test("several services: all are handled, and the first failure is the exit code", async () => {
  const seen: string[] = [];
  const { code } = await berth(["stop", "a", "b", "c", "--no-wait"], {
    handler: (request) => {
      const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
      seen.push(name);
      return name === "b"
        ? Response.json(serviceView({ name, stopped: true }))
        : Response.json(problem(name === "a" ? 404 : 401), { status: name === "a" ? 404 : 401 });
    },
  });
  assertEquals([code, seen], [3, ["a", "b", "c"]]);
});

Deno.test("exec without a running task, or without a terminal for -t, is Berth's own failure", async () => {
  const ended = await berth(["exec", "storefront.9", "ls"], { handler: oneService });
  assertEquals(ended.code, 125);
  const tty = await berth(["exec", "-it", "storefront", "sh"], { handler: oneService });
  assertEquals(tty.code, 2);
  assertStringIncludes(tty.err, "-t needs a terminal");
});

Deno.test("a spec that is sent back has no field of the view's, so that the server takes it", async () => {
  const service = serviceView({
    resolved: { secrets: {}, configs: {}, volumes: {} },
    imagePin: { note: "not settled" },
  });
  const sent: { query: string; body: object }[] = [];
  const handler = async (request: Request) => {
    const { search } = new URL(request.url);
    if (request.method === "PUT") sent.push({ query: search, body: await request.json() });
    return Response.json(service);
  };
  for (const args of [["stop"], ["update"], ["update", "--pull"]]) {
    await berth([...args, "--no-wait", "storefront"], { handler });
  }
  const views = new Set(Object.keys(ServiceView.shape));
  for (const field of Object.keys(ServiceSpec.shape)) views.delete(field);
  for (const { body } of sent) {
    assertEquals(Object.keys(body).filter((field) => views.has(field)), []);
  }
  const pulls = sent.map(({ query }) => new URLSearchParams(query).get("pull"));
  assertEquals(pulls, [null, null, "true"]);
});

Deno.test("ps shows how far a pull is, and other words of a task only when asked for more", async () => {
  const state = async (message: string) => {
    const observed = { ...taskView().observed, state: "preparing", ports: [], message };
    const task = taskView({ state: "preparing", observed, ready: false });
    const handler = () => Response.json({ items: [task] });
    return (await berth(["ps"], { handler })).out;
  };
  assertStringIncludes(await state("pulling 34 of 120 MiB"), "preparing (pulling 34 of 120 MiB)");
  assert(!(await state("no route to host; trying again")).includes("("));
});

Deno.test("whoever says no at a terminal to what destroys has changed nothing", async () => {
  const volume = {
    ...{ id: ID.service, project: "default", name: "data", driver: "local", options: {} },
    ...{ labels: {}, createdAt: NOW, engineName: "x", shared: false, nodes: [], usedBy: [] },
  };
  const commands = [
    ["rm", "storefront"],
    ["volume", "rm", "data"],
    ["volume", "restore", "data", "data.tar"],
    ["secret", "rm", "pw"],
    ["config", "rm", "settings"],
    ["node", "rm", "rack-7-machine-12"],
    ["ingress", "disable"],
  ];
  for (const args of commands) {
    const writes: string[] = [];
    const handler: Handler = (request) => {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET" || request.headers.has("upgrade")) {
        writes.push(`${request.method} ${pathname}`);
      }
      if (pathname.startsWith("/v1/nodes/")) return Response.json(nodeView());
      return pathname.startsWith("/v1/volumes") ? Response.json(volume) : oneService(request);
    };
    const setting = { handler, columns: 80, typed: true, files: { "data.tar": "" } };
    await berth(args, setting);
    assertEquals(writes, [], args.join(" "));
    if (args[1] === "restore") continue; // It would go through a socket.
    await berth([...args, "--yes", "--timeout", "1s"], setting);
    assertEquals(writes.length > 0, true, `${args.join(" ")} --yes`);
  }
});
