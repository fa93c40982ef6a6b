import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { spawn, startServer } from "../support/processes.ts";

/** The database file of a server that had some services and was stopped. */
async function withDatabase(run: (path: string, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "berth-db-" });
  try {
    const server = await startServer({ dataDir: dir });
    const env = { FILL: "x".repeat(10_000) };
    for (let n = 0; n < 20; n++) {
      const made = await server.client.createService({
        ...{ name: `web-${n}`, template: { image: "sim", env } },
      });
      assert(made.ok);
    }
    await server.stop();
    await run(`${dir}/berth.db`, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Starts a server that must give up; answers what it said. */
async function refusal(dataDir: string): Promise<string> {
  const child = spawn("server", ["--listen", "127.0.0.1:0", "--data", dataDir]);
  await eventually(() => child.ended(), { what: () => `the server to give up: ${child.log()}` });
  assertEquals(await child.stop(), 1);
  assert(!child.log().includes("    at "), `no stack trace: ${child.log()}`);
  return child.log();
}

async function bytesIn(path: string): Promise<Uint8Array> {
  return await Deno.readFile(path);
}

Deno.test("a truncated database is refused by name, with what to do, and left as it is", () =>
  withDatabase(async (path, dir) => {
    await Deno.truncate(path, Math.floor((await Deno.stat(path)).size / 2));
    const before = await bytesIn(path);
    const said = await refusal(dir);
    assertStringIncludes(said, path);
    assertStringIncludes(said, "truncated");
    assertStringIncludes(said, "Restore a backup");
    assertEquals(await bytesIn(path), before);
  }));

Deno.test("a database full of garbage behind a sound header is refused, and left as it is", () =>
  withDatabase(async (path, dir) => {
    const { size } = await Deno.stat(path);
    {
      using file = await Deno.open(path, { write: true });
      await file.seek(4096, Deno.SeekMode.Start);
      await file.write(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - 4096))));
    }
    const before = await bytesIn(path);
    const said = await refusal(dir);
    assertStringIncludes(said, path);
    assertStringIncludes(said, "damaged");
    assertEquals(await bytesIn(path), before);
  }));
