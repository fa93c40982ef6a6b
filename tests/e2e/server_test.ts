import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { type ServerProcess, spawn, startServer, startWorker } from "../support/processes.ts";

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "berth-e2e-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What a server that does not start says, and its exit code. */
async function refusal(dataDir: string, port = 0): Promise<{ code: number; said: string }> {
  const child = spawn("server", ["--listen", `127.0.0.1:${port}`, "--data", dataDir]);
  await eventually(() => child.ended(), { what: "the server to give up" });
  return { code: await child.stop(), said: child.log() };
}

function running(server: ServerProcess, name: string, count: number): Promise<boolean> {
  return eventually(async () => {
    const service = await server.client.getService(name);
    return service.ok && service.value.counts.running === count;
  }, { timeoutMs: 20_000, what: `${count} running tasks of ${name}` });
}

async function create(server: ServerProcess, name: string, replicas: number): Promise<void> {
  const created = await server.client.createService({
    name,
    mode: { type: "replicated", replicas },
    template: { image: "sim" },
  });
  assert(created.ok, JSON.stringify(created));
}

Deno.test("a second server on the same data gives up with a clear error, and the first goes on", () =>
  withDir(async (dir) => {
    const server = await startServer({ dataDir: dir });
    const { code, said } = await refusal(dir);
    assertEquals(code, 1);
    assertStringIncludes(said, "another berth server has it open");
    assert((await server.client.cluster()).ok);
    await server.stop();
  }));

Deno.test("a server does not start on a file that is no database, and leaves it alone", () =>
  withDir(async (dir) => {
    const text = "a letter to somebody\n".repeat(100);
    await Deno.writeTextFile(`${dir}/berth.db`, text);
    const { code, said } = await refusal(dir);
    assertEquals(code, 1);
    assertStringIncludes(said, "not a Berth database");
    assertEquals(await Deno.readTextFile(`${dir}/berth.db`), text);
  }));

Deno.test("the admin token is printed once, kept with mode 0600, and stored only as a hash", () =>
  withDir(async (dir) => {
    const first = await startServer({ dataDir: dir });
    const { token } = first;
    await eventually(() => first.log().includes(token), { what: "the token on the output" });
    assertEquals(((await Deno.stat(`${dir}/admin-token`)).mode ?? 0) & 0o777, 0o600);
    await first.stop();
    const second = await startServer({ dataDir: dir });
    assert((await second.client.cluster()).ok);
    await second.stop();
    assert(!second.log().includes(token));
    for (const file of ["berth.db", "berth.db-wal"]) {
      const bytes = await Deno.readFile(`${dir}/${file}`).catch(() => new Uint8Array());
      assert(!new TextDecoder("latin1").decode(bytes).includes(token), `the token is in ${file}`);
    }
  }));

Deno.test("a first start that finds its port taken leaves a token for the next one", () =>
  withDir(async (dir) => {
    const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { code, said } = await refusal(dir, other.addr.port);
    other.close();
    assertEquals(code, 1, said);
    assertStringIncludes(said, "Pass another --listen");
    const server = await startServer({ dataDir: dir });
    assert((await server.client.cluster()).ok);
    await server.stop();
  }));

Deno.test("kill -9 of the server loses no service, and its tasks run on", () =>
  withDir(async (dir) => {
    let server = await startServer({ dataDir: `${dir}/server` });
    const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
    await create(server, "web", 3);
    await running(server, "web", 3);
    const ids = async () => {
      const tasks = await server.client.listTasks({ service: "web" });
      assert(tasks.ok);
      return tasks.value.items.map((t) => [t.id, t.observed?.attempt]);
    };
    const before = await ids();
    await create(server, "late", 2);
    await server.stop("SIGKILL");
    const port = Number(new URL(server.url).port);
    server = await startServer({ dataDir: `${dir}/server`, port });
    await running(server, "late", 2);
    assertEquals(await ids(), before);
    await worker.stop();
    await server.stop();
  }));

Deno.test("request-driven, the workers' polls alone place and run what is asked for", () =>
  withDir(async (dir) => {
    const args = ["--mode", "request-driven"];
    const server = await startServer({ dataDir: `${dir}/server`, args });
    const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
    await create(server, "web", 3);
    await running(server, "web", 3);
    await worker.stop();
    await server.stop();
  }));
