import { assert, assertEquals } from "@std/assert";
import { Readable } from "node:stream";
import { ask, connectEngine, createContainer } from "../../worker/docker/client.ts";
import { localDigest, pullImage } from "../../worker/docker/images.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";

const soon = () => AbortSignal.timeout(5000);
const broken = (code: string) => Object.assign(new Error(`write ${code}`), { code });

Deno.test("a call that never settles ends when its signal aborts", async () => {
  const answer = await ask("list", AbortSignal.timeout(20), () => new Promise(() => {}));
  assertEquals(answer, {
    ok: false,
    kind: "unavailable",
    message: "list: no answer before the deadline",
  });
});

Deno.test("a stream that arrives after its call was given up is destroyed", async () => {
  const stream = new Readable({ read() {} });
  let arrive = (_: Readable) => {};
  const late = new Promise<Readable>((resolve) => arrive = resolve);
  const giveUp = new AbortController();
  const asked = ask("logs", giveUp.signal, () => late);
  giveUp.abort();
  assertEquals((await asked).ok, false);
  arrive(stream);
  await late;
  assert(stream.destroyed);
});

Deno.test("a call is repeated once when its connection was dead, and never else", async () => {
  const tries = async (...errors: unknown[]) => {
    let calls = 0;
    const answer = await ask("list", soon(), () => {
      const error = errors[calls++];
      return error ? Promise.reject(error) : Promise.resolve("value");
    });
    return [answer.ok || answer.kind, calls];
  };
  assertEquals(await tries(), [true, 1]);
  assertEquals(await tries(broken("EPIPE")), [true, 2]);
  assertEquals(await tries(broken("ECONNRESET")), [true, 2]);
  assertEquals(await tries(broken("EPIPE"), broken("EPIPE")), ["unavailable", 2]);
  assertEquals(await tries(broken("ECONNREFUSED")), ["unavailable", 1]);
  assertEquals(await tries({ statusCode: 500, json: { message: "EPIPE" } }), ["unavailable", 1]);
  assertEquals(await tries({ statusCode: 404, json: { message: "none" } }), ["refused", 1]);
});

Deno.test("a pooled connection that the engine closes on the next call is replaced", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const requestsByConnection: number[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      const index = requestsByConnection.push(0) - 1;
      const buffer = new Uint8Array(65_536);
      const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
        "Connection: keep-alive\r\nContent-Length: 2\r\n\r\n[]";
      // Every connection answers one request; a second one finds it dead.
      if (await connection.read(buffer)) {
        requestsByConnection[index] = 1;
        await connection.write(new TextEncoder().encode(answer));
      }
      if (await connection.read(buffer)) requestsByConnection[index] = 2;
      connection.close();
    }
  })();
  const connection = { kind: "socket" as const, path, description: path };
  const runtime = createDockerRuntime({ connection, nodeId: "n1" });
  try {
    assertEquals(await runtime.list(soon()), { ok: true, value: [] });
    assertEquals(await runtime.list(soon()), { ok: true, value: [] });
    assertEquals(requestsByConnection, [2, 1]);
  } finally {
    await runtime.close();
    listener.close();
    await serving;
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a container's environment is in the request's body, and not in its address", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const seen: { target: string; body: string }[] = [];
  const server = Deno.serve({ path, transport: "unix", onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    seen.push({ target: pathname + search, body: await request.text() });
    return Response.json({ Id: "c1", Warnings: [] }, { status: 201 });
  });
  const client = connectEngine({ kind: "socket", path, description: path });
  try {
    const body = { Image: "app", Env: ["PASSWORD=canary"] };
    await createContainer(client.docker, { name: "web.1", ...body }, soon());
    assertEquals(seen.map(({ target }) => target), ["/containers/create?name=web.1"]);
    assertEquals(JSON.parse(seen[0]?.body ?? ""), body);
  } finally {
    client.close();
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("credentials for a pull are in one header alone, which names the registry as the engine does", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const seen: { target: string; body: string; headers: Headers }[] = [];
  const server = Deno.serve({ path, transport: "unix", onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    seen.push({ target: pathname + search, body: await request.text(), headers });
    return request.method === "POST" ? new Response("") : Response.json({ Id: "sha256:1" });
  });
  const client = connectEngine({ kind: "socket", path, description: path });
  try {
    const pull = async (image: string, host: string) => {
      const login = { registry: host, host, username: "ann", password: "canary" };
      const options = { policy: "always", signal: soon(), login } as const;
      assertEquals(await pullImage(client.docker, image, options), { ok: true, value: undefined });
      const [posted] = seen.splice(0);
      const given = posted?.headers.get("x-registry-auth") ?? "";
      posted?.headers.delete("x-registry-auth");
      for (
        const text of [posted?.target, posted?.body, JSON.stringify([...posted?.headers ?? []])]
      ) {
        assertEquals(text?.includes("canary"), false);
      }
      return JSON.parse(atob(given.replaceAll("-", "+").replaceAll("_", "/")));
    };
    assertEquals(await pull("ghcr.io/shop/app:1", "ghcr.io"), {
      ...{ serveraddress: "ghcr.io", username: "ann", password: "canary" },
    });
    const short = await pull("nginx:1", "docker.io");
    assertEquals(short.serveraddress, "https://index.docker.io/v1/");
  } finally {
    client.close();
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});

const DIGEST = `sha256:${"c".repeat(64)}`;
/** What an engine lists for an image, and the digest that it has of it. */
const LISTED: [string, string[] | null, string | undefined][] = [
  ["nginx:1", [`nginx@${DIGEST}`], DIGEST],
  ["docker.io/library/nginx:1", [`nginx@${DIGEST}`], DIGEST],
  ["shop/app:1", [`docker.io/shop/app@${DIGEST}`], DIGEST],
  [
    "ghcr.io/shop/app:1",
    [`mirror.example/shop/app@sha256:1`, `ghcr.io/shop/app@${DIGEST}`],
    DIGEST,
  ],
  ["app:1", [`other@${DIGEST}`], undefined],
  ["app:1", [], undefined],
  ["app:1", null, undefined],
];

for (const [image, digests, digest] of LISTED) {
  Deno.test(`the digest of ${image} is that of its own repository: ${digests?.join(", ")}`, async () => {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/engine.sock`;
    const answer = () => Response.json({ Id: "sha256:1", RepoDigests: digests });
    const server = Deno.serve({ path, transport: "unix", onListen() {} }, answer);
    const client = connectEngine({ kind: "socket", path, description: path });
    try {
      const found = await localDigest(client.docker, image, soon());
      assertEquals(found, { ok: true, value: { digest } });
    } finally {
      client.close();
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    }
  });
}
