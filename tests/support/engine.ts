/**
 * The machine's container engine, for tests that need one.
 *
 * @module
 */
import { type EngineConnection, findEngine } from "../../worker/docker/connect.ts";
import { DEFAULT_POOL, parsePool } from "../../worker/dns/pool.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { removeAll } from "../../worker/join.ts";
import { importBusyboxImage } from "../../worker/docker/offline_image.ts";

export type TestEngine =
  | { available: true; connection: EngineConnection }
  | { available: false; reason: string };

/** Made offline: a static busybox and links to its commands. */
export const TEST_IMAGE = "berth-test/busybox:1";
const ANSWER_MS = 5_000;
const ENGINE_WORK_MS = 60_000;

/** Finds the engine and asks it whether it answers. */
export async function engine(): Promise<TestEngine> {
  const found = await findEngine({ env: Deno.env, exists });
  if (!found.ok) return { available: false, reason: found.message };
  const { connection } = found;
  const runtime = createDockerRuntime({ connection, nodeId: "engine-check" });
  try {
    const info = await runtime.info(AbortSignal.timeout(ANSWER_MS));
    if (info.ok) return { available: true, connection };
    return { available: false, reason: `${connection.description}: ${info.message}` };
  } finally {
    await runtime.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

/** What {@link engine} said when the tests were loaded. */
export const found = await engine();
/** An engine is demanded: its absence is a failure. */
export const required = Deno.env.get("BERTH_REQUIRE_ENGINE") === "1";

/**
 * Defines a test that needs an engine: ignored, with the reason in its name, when none answers, or
 * failing when BERTH_REQUIRE_ENGINE=1.
 */
export function engineTest(
  name: string,
  fn: (connection: EngineConnection, t: Deno.TestContext) => Promise<void>,
): void {
  if (found.available) {
    Deno.test(name, (t) => fn(found.connection, t));
    return;
  }
  const { reason } = found;
  Deno.test({
    name: `${name} [needs an engine: ${reason}]`,
    ignore: !required,
    fn() {
      throw new Error(`BERTH_REQUIRE_ENGINE=1, and ${reason}`);
    },
  });
}

let imported: Promise<void> | undefined;

/** Makes {@link TEST_IMAGE} present on the machine's engine, once per process. */
export function ensureTestImage(connection: EngineConnection): Promise<void> {
  return imported ??= importTestImage(connection);
}

/** Makes {@link TEST_IMAGE} on any engine. */
export async function importTestImage(connection: EngineConnection): Promise<void> {
  const signal = AbortSignal.timeout(ENGINE_WORK_MS);
  const made = await importBusyboxImage(connection, { tag: TEST_IMAGE, cmd: ["sh"], signal });
  if (!made.ok) throw new Error(made.message);
}

/** Removes all containers and networks of a node from an engine. */
export async function clearNode(connection: EngineConnection, nodeId: string): Promise<void> {
  const pool = parsePool(DEFAULT_POOL);
  if ("problem" in pool) throw new Error(pool.problem);
  const runtime = createDockerRuntime({
    connection,
    nodeId,
    networks: { pool, interfaces: () => [] },
  });
  await removeAll(runtime, { log: () => {}, timeoutMs: ENGINE_WORK_MS });
  await runtime.close();
}
