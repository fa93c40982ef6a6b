import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BuildPlan } from "../../../cli/compose/map/build.ts";
import { builderAt, findBuilder } from "../../../cli/local/builder.ts";

interface Asked {
  path: string;
  query: URLSearchParams;
  files: string[];
}

const never = new AbortController().signal;

/** An engine of which `answer` makes the answers; works in a directory that is the context. */
async function withEngine(
  answer: (asked: Asked) => Response,
  run: (world: { socket: string; dir: string; asked: Asked[] }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  const dir = `${root}/app`;
  await Deno.mkdir(`${dir}/src`, { recursive: true });
  const asked: Asked[] = [];
  const socket = `${root}/engine.sock`;
  const server = Deno.serve({ path: socket, onListen: () => {} }, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const one = { path: pathname, query: searchParams, files: namesIn(bytes) };
    asked.push(one);
    return answer(one);
  });
  try {
    await run({ socket, dir, asked });
  } finally {
    await server.shutdown();
    await Deno.remove(root, { recursive: true });
  }
}

/** The names in a tar archive, read by itself. */
function namesIn(tar: Uint8Array): string[] {
  const names: string[] = [];
  const text = (from: number, to: number) =>
    new TextDecoder().decode(tar.subarray(from, to)).split("\0")[0] ?? "";
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    names.push(text(at, at + 100));
    const size = parseInt(text(at + 124, at + 135), 8);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return names;
}

const plan = (dir: string, more: Partial<BuildPlan> = {}): BuildPlan => ({
  ...{ image: "shop-web", always: false, context: { dir }, dockerfile: { path: "Dockerfile" } },
  query: [["t", "shop-web"], ["buildargs", '{"TOKEN":"hush"}']],
  ...more,
});

const lines = (...all: unknown[]) =>
  new Response(all.map((one) => JSON.stringify(one)).join("\n") + "\n");

Deno.test("a context is sent without what .dockerignore names, and the image's id comes back", () =>
  withEngine(
    () => lines({ stream: "Step 1/1 : FROM scratch\n" }, { aux: { ID: "sha256:1" } }),
    async ({ socket, dir, asked }) => {
      await Deno.writeTextFile(`${dir}/Dockerfile`, "FROM scratch");
      await Deno.writeTextFile(`${dir}/.dockerignore`, "**/*.log\nDockerfile\n");
      await Deno.writeTextFile(`${dir}/src/a.ts`, "a");
      await Deno.writeTextFile(`${dir}/src/a.log`, "b");
      await Deno.symlink("a.ts", `${dir}/src/link`);
      const said: string[] = [];
      const built = await builderAt(socket).build(plan(dir), {
        ...{ signal: never, onLine: (text) => said.push(text) },
      });
      assertEquals(built, { ok: true, id: "sha256:1" });
      assertEquals(said, ["Step 1/1 : FROM scratch"]);
      const [one] = asked;
      assertEquals(one?.files, [".dockerignore", "Dockerfile", "src/", "src/a.ts", "src/link"]);
      assertEquals(one?.query.get("dockerfile"), "Dockerfile");
      assertEquals(one?.query.get("t"), "shop-web");
    },
  ));

Deno.test("a Dockerfile that is written out, or lies elsewhere, travels with the context", () =>
  withEngine(() => lines({ aux: { ID: "sha256:1" } }), async ({ socket, dir, asked }) => {
    await Deno.writeTextFile(`${dir}/../Other`, "FROM scratch");
    const options = { signal: never, onLine: () => {} };
    const builder = builderAt(socket);
    for (const dockerfile of [{ text: "FROM a" }, { path: "../Other" }]) {
      assert((await builder.build(plan(dir, { dockerfile }), options)).ok);
    }
    assertEquals(asked.map(({ files }) => files[0]), [".berth.Dockerfile", ".berth.Dockerfile"]);
  }));

Deno.test("a failure of the build is one message; arguments are never in it", async () => {
  let socketGone = "";
  await withEngine(
    ({ query }) =>
      query.get("t") === "no"
        ? Response.json({ message: "dockerfile parse error" }, { status: 400 })
        : lines({ stream: "Step" }, { error: "The command\nreturned 1" }),
    async ({ socket, dir }) => {
      socketGone = socket;
      const options = { signal: never, onLine: () => {} };
      await Deno.writeTextFile(`${dir}/Dockerfile`, "FROM scratch");
      const builder = builderAt(socket);
      const failed = await builder.build(plan(dir), options);
      assertEquals(failed, { ok: false, message: "The command returned 1" });
      const refused = await builder.build(plan(dir, { query: [["t", "no"]] }), options);
      assertEquals(refused, { ok: false, message: "dockerfile parse error" });
      const missing = await builder.build(plan(`${dir}/gone`), options);
      assert(!missing.ok);
      assertStringIncludes(missing.message, `cannot read ${dir}/gone/Dockerfile`);
    },
  );
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/Dockerfile`, "FROM scratch");
  const gone = await builderAt(socketGone).build(plan(dir), { signal: never, onLine: () => {} });
  assert(!gone.ok && !gone.message.includes("hush"), JSON.stringify(gone));
  assertStringIncludes(gone.message, "the engine");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("an engine is local when it listens on a socket of this machine", async () => {
  const where = async (env: Record<string, string>, there: string[] = []) =>
    (await findBuilder((name) => env[name], (path) => Promise.resolve(there.includes(path))))
      ?.where;
  assertEquals(await where({}), undefined);
  assertEquals(
    await where({ DOCKER_HOST: "tcp://build.test:2375" }, ["/var/run/docker.sock"]),
    undefined,
  );
  assertEquals(await where({ DOCKER_HOST: "unix:///x.sock" }), "/x.sock");
  assertEquals(await where({}, ["/run/podman/podman.sock"]), "/run/podman/podman.sock");
});

Deno.test("an image that the engine does not have is no error", () =>
  withEngine(
    ({ path }) =>
      path.includes("there")
        ? Response.json({ Id: "sha256:2" })
        : Response.json({ message: "no such image" }, { status: 404 }),
    async ({ socket }) => {
      const builder = builderAt(socket);
      assertEquals(await builder.imageId("there:1", never), { ok: true, id: "sha256:2" });
      assertEquals(await builder.imageId("reg.test/gone:1", never), { ok: true, id: undefined });
    },
  ));
