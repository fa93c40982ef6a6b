import { assert, assertEquals } from "@std/assert";
import type { GuardMessage, GuardSetup } from "../../worker/guard.ts";
import { eventually } from "../support/eventually.ts";

const GUARD = new URL("../../worker/guard.ts", import.meta.url).pathname;

interface Rig {
  /** Paths of the kills that the engine was asked for. */
  kills: string[];
  send(message: GuardMessage | GuardSetup): Promise<void>;
  said: string[];
  /** The agent dies: the guard's input ends. */
  orphan(): Promise<void>;
  owner(id: string): Promise<void>;
  ended: Promise<Deno.CommandStatus>;
}

/** A guard beside an engine that says `status` to every kill, and has container `web` covered. */
async function withGuard(status: number, body: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const kills: string[] = [];
  const engine = Deno.serve({ transport: "unix", path, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/_ping") return new Response("OK");
    kills.push(pathname);
    return new Response(null, { status });
  });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-config", "--allow-all", GUARD],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const said: string[] = [];
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said.push(...text.trim().split("\n"));
    }
  })();
  let open = true;
  const rig: Rig = {
    kills,
    said,
    ended: child.status,
    send: (message) => writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`)),
    async orphan() {
      open = false;
      await writer.close();
    },
    owner: (id) => Deno.writeTextFile(`${dir}/owner`, id),
  };
  try {
    const target = { kind: "socket" as const, path };
    await rig.send({ target, id: "me", ownerPath: `${dir}/owner`, lockPath: `${dir}/lock` });
    await rig.send({ cover: ["web"], seq: 1 });
    await rig.send({ mark: 1 });
    await eventually(() => said.includes("c1") && said.includes("1"), { timeoutMs: 20_000 });
    await body(rig);
  } finally {
    if (open) {
      await rig.send({ bye: true }).catch(() => {});
      await writer.close().catch(() => {});
    }
    await child.status;
    await reading;
    await engine.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("guard: kills at the deadline, counted from the mark, and goes on killing", () =>
  withGuard(204, async ({ kills, send }) => {
    await send({ confirm: 1, killMs: 100 });
    await eventually(() => kills.length >= 2, { what: "kills" });
    assertEquals(new Set(kills), new Set(["/containers/web/kill"]));
  }));

Deno.test("guard: a newer mark moves the deadline, a mark that nobody set does not", () =>
  withGuard(204, async ({ kills, send, said }) => {
    await send({ confirm: 1, killMs: 100 });
    await eventually(() => kills.length >= 1, { what: "a kill" });
    await send({ confirm: 99, killMs: 600_000 });
    const before = kills.length;
    await eventually(() => kills.length > before, { what: "another kill" });
    await send({ mark: 2 });
    await eventually(() => said.includes("2"));
    await send({ confirm: 2, killMs: 600_000 });
    await send({ cover: ["web"], seq: 2 });
    await eventually(() => said.includes("c2"));
    const after = kills.length;
    await send({ mark: 3 });
    await eventually(() => said.includes("3"));
    assert(kills.length <= after + 1, "only what was under way");
  }));

Deno.test("guard: without its agent it kills at the deadline, and ends when all are dead", () =>
  withGuard(404, async ({ kills, send, orphan, ended }) => {
    await send({ confirm: 1, killMs: 500 });
    await orphan();
    assert((await ended).success);
    assertEquals(kills, ["/containers/web/kill"]);
  }));

Deno.test("guard: without its agent it ends, and kills nothing, once a later guard is in charge", () =>
  withGuard(204, async ({ kills, send, owner, orphan, ended }) => {
    await send({ confirm: 1, killMs: 600_000 });
    await orphan();
    await owner("another");
    assert((await ended).success);
    assertEquals(kills, []);
  }));
