/**
 * The machine's own Caddy (Debian's package) as an image, for tests that need the real one.
 *
 * @module
 */
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { importTar } from "../../worker/docker/offline_image.ts";
import { joined, TAR_END, tarEntry } from "../../worker/docker/tar.ts";
import { engineTest, exists, required } from "./engine.ts";

export const CADDY_IMAGE = "berth-test/caddy:1";
const CADDY = "/usr/bin/caddy";
const IMPORT_MS = 60_000;

const present = await exists(CADDY);

/** Defines a test that needs an engine and Caddy: ignored, or failing, as {@link engineTest} says. */
export function caddyTest(
  name: string,
  fn: (connection: EngineConnection, t: Deno.TestContext) => Promise<void>,
): void {
  if (present) return engineTest(name, fn);
  const reason = `no ${CADDY}: apt-get install caddy`;
  Deno.test({
    name: `${name} [needs Caddy: ${reason}]`,
    ignore: !required,
    fn() {
      throw new Error(`BERTH_REQUIRE_ENGINE=1, and ${reason}`);
    },
  });
}

let imported: Promise<void> | undefined;

/** Makes {@link CADDY_IMAGE} present on the machine's engine, once per process. */
export function ensureCaddyImage(connection: EngineConnection): Promise<void> {
  return imported ??= importCaddyImage(connection);
}

async function importCaddyImage(connection: EngineConnection): Promise<void> {
  const files = [CADDY, ...await librariesOf(CADDY)];
  const folder = (name: string, mode = 0o755) => tarEntry({ name, type: "directory", mode });
  const tar = joined([
    ...[folder("run/"), folder("data/"), folder("tmp/", 0o1777)],
    ...await Promise.all(files.map(async (path) =>
      tarEntry({
        name: path.replace(/^\//, ""),
        type: "file",
        mode: 0o755,
        data: await Deno.readFile(path),
      })
    )),
    TAR_END,
  ]);
  const client = connectEngine(connection);
  try {
    const signal = AbortSignal.timeout(IMPORT_MS);
    const changes = [`ENV PATH=/usr/bin`, `CMD ["caddy","run"]`];
    const made = await importTar(client.docker, { tag: CADDY_IMAGE, tar, changes }, signal);
    if (!made.ok) throw new Error(made.message);
  } finally {
    client.close();
  }
}

/** The shared libraries that it is loaded with, the loader among them. */
async function librariesOf(path: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [path] }).output();
  const paths = new TextDecoder().decode(stdout).matchAll(/(\/\S+) \(0x/g);
  return [...new Set(Array.from(paths, ([, library = ""]) => library))];
}
