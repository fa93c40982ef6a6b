import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { AgentProbe } from "../../../kv/schema/health.ts";
import type { BoundPort } from "../../../kv/schema/task.ts";
import { createProber, endpointOf, type ProbeResult } from "../../../worker/probes/prober.ts";
import { oneLine } from "../../../worker/probes/result.ts";
import type { Runtime } from "../../../worker/runtime.ts";
import { idOf } from "../../support/ids.ts";

type Exec = Runtime["exec"];
const noExec: Exec = () => Promise.reject(new Error("no command is expected"));

function probe(
  input: Record<string, unknown>,
  options: { exec?: Exec; signal?: AbortSignal } = {},
): Promise<ProbeResult> {
  const prober = createProber({
    exec: options.exec ?? noExec,
    direct: true,
    engineHost: "127.0.0.1",
  });
  return prober.probe({
    taskId: idOf(1),
    purpose: "health",
    probe: AgentProbe.parse(input),
    address: "127.0.0.1",
    ports: [],
  }, options.signal ?? AbortSignal.timeout(5_000));
}

async function served(
  handler: (request: Request) => Response | Promise<Response>,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  const server = Deno.serve(options, handler);
  try {
    await body(server.addr.port);
  } finally {
    await server.shutdown();
  }
}

function outputOf(result: ProbeResult): string {
  assert(result.kind === "fail", result.kind);
  return result.output;
}

Deno.test("an HTTP probe passes by its status; a redirect is an answer and not followed", async () => {
  const asked: string[] = [];
  await served((request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const status = Number(pathname.slice(1)) || 200;
    const headers = status === 302 ? { location: "/500" } : {};
    return new Response(status === 204 ? null : `body of ${status}`, { status, headers });
  }, async (port) => {
    const http = (path: string, more: object = {}) => probe({ type: "http", port, path, ...more });
    const statuses = [200, 204, 302, 399, 400, 404, 500];
    const results = [];
    for (const status of statuses) results.push((await http(`/${status}`)).kind);
    assertEquals(results, ["pass", "pass", "pass", "pass", "fail", "fail", "fail"]);
    assertEquals(asked, statuses.map((status) => `/${status}`));
    assertEquals(outputOf(await http("/404")), "HTTP 404: body of 404");
    const only = { status: { from: 404, to: 404 } };
    assertEquals((await http("/404", only)).kind, "pass");
    assertEquals((await http("/200", only)).kind, "fail");
  });
});

Deno.test("an HTTP probe sends its headers, Host among them", async () => {
  await served((request) => {
    const right = request.headers.get("host") === "example.test" &&
      request.headers.get("x-probe") === "1";
    return new Response(null, { status: right ? 200 : 400 });
  }, async (port) => {
    const headers = { host: "example.test", "x-probe": "1" };
    assertEquals((await probe({ type: "http", port, headers })).kind, "pass");
    assertEquals((await probe({ type: "http", port })).kind, "fail");
  });
});

Deno.test("an HTTPS probe takes the certificate that a container made for itself", async () => {
  const dir = await Deno.makeTempDir();
  const made = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=container"],
    ],
    cwd: dir,
    stdin: "null",
  }).output();
  assert(made.success, new TextDecoder().decode(made.stderr));
  const [cert, key] = await Promise.all(
    ["cert", "key"].map((name) => Deno.readTextFile(`${dir}/${name}.pem`)),
  );
  assert(cert && key);
  const options = { port: 0, hostname: "127.0.0.1", cert, key, onListen: () => {} };
  const server = Deno.serve(options, () => new Response("up"));
  const { port } = server.addr;
  assertEquals((await probe({ type: "http", scheme: "https", port })).kind, "pass");
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("of an endless body little is read, and the connection is closed", async () => {
  let cancelled = false;
  await served(() => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(120)),
      cancel: () => void (cancelled = true),
    });
    return new Response(body, { status: 503 });
  }, async (port) => {
    const output = outputOf(await probe({ type: "http", port }));
    assertStringIncludes(output, "HTTP 503: xxx");
    assertLess(output.length, 400);
  });
  assert(cancelled);
});

Deno.test("a server that does not answer is given up with the signal, and no connection stays", async () => {
  const held = Promise.withResolvers<Response>();
  const asked = Promise.withResolvers<void>();
  await served(() => {
    asked.resolve();
    return held.promise;
  }, async (port) => {
    const stop = new AbortController();
    const result = probe({ type: "http", port }, { signal: stop.signal });
    await asked.promise;
    stop.abort();
    assertEquals((await result).kind, "fail");
    held.resolve(new Response());
  });
});

Deno.test("TCP and HTTP probes of a closed port fail and name it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assertEquals((await probe({ type: "tcp", port })).kind, "pass");
  listener.close();
  for (const type of ["tcp", "http"]) {
    assertStringIncludes(outputOf(await probe({ type, port })), `127.0.0.1:${port}: `);
  }
});

function execOf(code: number, output: string, closed: string[] = []): Exec {
  return () =>
    Promise.resolve({
      ok: true,
      value: {
        output: (async function* () {
          yield { stream: "stdout" as const, data: new TextEncoder().encode(output) };
        })(),
        write: () => Promise.resolve(),
        endInput: () => {},
        resize: () => Promise.resolve(),
        signal: () => Promise.resolve(),
        exitCode: () => Promise.resolve(code),
        close: () => {
          closed.push("closed");
          return Promise.resolve();
        },
      },
    });
}

Deno.test("an exec probe passes with exit code 0, keeps little of the output and closes", async () => {
  const exec = { type: "exec", command: ["check"] };
  const closed: string[] = [];
  assertEquals((await probe(exec, { exec: execOf(0, "fine", closed) })).kind, "pass");
  const failed = await probe(exec, { exec: execOf(3, `no\ndisk ${"x".repeat(5_000)}`, closed) });
  assertStringIncludes(outputOf(failed), "exit code 3: no disk xxx");
  assertLess(outputOf(failed).length, 400);
  assertEquals(closed.length, 2);
});

Deno.test("an engine that does not answer tells nothing about the task; one that refuses does", async () => {
  const answer = (kind: "unavailable" | "refused"): Exec => () =>
    Promise.resolve({ ok: false, kind, message: "no" });
  const exec = { type: "exec", command: ["check"] };
  assertEquals((await probe(exec, { exec: answer("unavailable") })).kind, "unknown");
  assertEquals((await probe(exec, { exec: answer("refused") })).kind, "fail");
});

Deno.test("a port is reached at the container's address, or where it is published", () => {
  const bound = (published: number, hostIp = "0.0.0.0"): BoundPort => ({
    target: 80,
    published,
    protocol: "tcp",
    hostIp,
  });
  const direct = { direct: true, engineHost: "127.0.0.1" };
  const far = { direct: false, engineHost: "engine.test" };
  const at = (
    target: { address?: string; ports: BoundPort[] },
    way: typeof direct,
  ) => endpointOf(target, 80, way);
  const both = { address: "172.17.0.2", ports: [bound(8080)] };
  assertEquals(at(both, direct), { hostname: "172.17.0.2", port: 80 });
  assertEquals(at(both, far), { hostname: "engine.test", port: 8080 });
  assertEquals(at({ ports: [bound(8080)] }, direct), { hostname: "127.0.0.1", port: 8080 });
  assertEquals(at({ ports: [bound(8080, "10.1.1.1")] }, far), { hostname: "10.1.1.1", port: 8080 });
  assertEquals(at({ address: "172.17.0.2", ports: [] }, far), undefined);
});

Deno.test("an output is one printable line", () => {
  assertEquals(oneLine("  a\r\n\tb\x1b[31mc  "), "a b [31mc");
  assertEquals(oneLine("x".repeat(1_000)).length, 300);
});
