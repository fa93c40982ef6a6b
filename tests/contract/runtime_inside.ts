/**
 * Contract: statistics, files, and the main process of a container.
 *
 * @module
 */
import { assert, assertEquals, assertFalse } from "@std/assert";
import type { AttachOptions } from "../../kv/schema/inside.ts";
import { joined, TAR_END, tarEntry } from "../../kv/schema/tar.ts";
import { readTar } from "../../kv/schema/tar_read.ts";
import { eventually } from "../support/eventually.ts";
import { type Bench, type Case, newId, ok, soon, text } from "./runtime_bench.ts";

const encoder = new TextEncoder();
const decode = (data: Uint8Array) => new TextDecoder().decode(data);
const MIB = 1024 * 1024;

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}

const tree = () =>
  pieces(
    tarEntry({ name: "box/", type: "directory", mode: 0o755 }),
    tarEntry({ name: "box/run.sh", type: "file", mode: 0o755, data: encoder.encode("echo") }),
    tarEntry({ name: "box/here", type: "link", mode: 0o777, target: "run.sh" }),
    tarEntry({ name: `box/${"n".repeat(150)}`, type: "file", mode: 0o600 }),
    TAR_END,
  );

/** Everything at a path, as `name type mode content`. */
async function listing(bench: Bench, taskId: string, path: string): Promise<string[]> {
  const found: string[] = [];
  for await (
    const entry of readTar(ok(await bench.runtime.inside.read(taskId, path, soon())))
  ) {
    let data = "";
    for await (const piece of entry.content) data += decode(piece);
    const mode = entry.type === "link" ? "" : (entry.mode & 0o777).toString(8);
    found.push([entry.name, entry.type, mode, entry.target || data].join(" ").trim());
  }
  return found.sort();
}

async function logged(bench: Bench, taskId: string): Promise<string> {
  return (await text(await bench.logs(taskId))).stdout;
}

async function attach(bench: Bench, taskId: string, options: AttachOptions) {
  return ok(await bench.runtime.inside.attach(taskId, options, soon()));
}

const ECHOING = { command: ["cat"], container: { stdinOpen: true }, init: false };

export const inside: Record<string, Case> = {
  "what a running container has used grows, and its memory is within its limit": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "while true; do :; done"],
      limit: { cpus: 1, memoryMiB: 64 },
    });
    const first = ok(await bench.runtime.inside.stats(taskId, soon()));
    assertEquals(first.memoryLimitBytes, 64 * MIB);
    const later = await eventually(async () => {
      const now = ok(await bench.runtime.inside.stats(taskId, soon()));
      return now.atMs > first.atMs && now.cpuMs > first.cpuMs ? now : undefined;
    }, { what: "time on a core" });
    assert(later.memoryBytes > 0 && later.memoryBytes <= 64 * MIB, String(later.memoryBytes));
    assert(later.pids >= 1);
    assert(later.rxBytes >= first.rxBytes && later.txBytes >= first.txBytes);
  },

  "there are no statistics of a container that does not run, or is not there": async (bench) => {
    const { taskId } = await bench.started({ command: ["sh", "-c", "exit 0"] });
    await bench.exited(taskId);
    const ended = await bench.runtime.inside.stats(taskId, soon());
    assertEquals([ended.ok, !ended.ok && ended.kind], [false, "refused"]);
    const absent = await bench.runtime.inside.stats(newId(), soon());
    assertEquals([absent.ok, !absent.ok && absent.kind], [false, "refused"]);
  },

  "files that were put into a container are read back as they were": async (bench) => {
    const { taskId } = await bench.started();
    ok(await bench.runtime.inside.write(taskId, "/tmp", tree(), soon()));
    assertEquals(
      await listing(bench, taskId, "/tmp/box"),
      [
        "box/ directory 755",
        "box/here link  run.sh",
        `box/${"n".repeat(150)} file 600`,
        "box/run.sh file 755 echo",
      ].sort(),
    );
    assertEquals(await listing(bench, taskId, "/tmp/box/run.sh"), ["run.sh file 755 echo"]);
  },

  "files can be looked at, read and written while the container does not run": async (bench) => {
    const { taskId } = await bench.started({ command: ["sh", "-c", "exit 0"] });
    await bench.exited(taskId);
    const { inside } = bench.runtime;
    ok(await inside.write(taskId, "/tmp", tree(), soon()));
    const stat = async (path: string) => {
      const found = ok(await inside.stat(taskId, path, soon()));
      return found && [found.name, found.type, found.type === "file" ? found.size : -1];
    };
    assertEquals(await stat("/tmp"), ["tmp", "directory", -1]);
    assertEquals(await stat("/tmp/box/run.sh"), ["run.sh", "file", 4]);
    assertEquals(await stat("/tmp/box/here"), ["here", "link", -1]);
    assertEquals(await stat("/tmp/box/absent"), undefined);
  },

  "what cannot be read or written is refused, and changes nothing": async (bench) => {
    const { taskId } = await bench.started();
    const { inside } = bench.runtime;
    assertFalse((await inside.read(taskId, "/tmp/absent", soon())).ok);
    assertFalse((await inside.write(taskId, "/tmp/absent", tree(), soon())).ok);
    ok(await inside.write(taskId, "/tmp", tree(), soon()));
    const file = pieces(tarEntry({ name: "box", type: "file", mode: 0o644 }), TAR_END);
    assertFalse((await inside.write(taskId, "/tmp", file, soon())).ok, "a directory stays one");
    assertEquals(ok(await inside.stat(taskId, "/tmp/box", soon()))?.type, "directory");
    for (const call of [inside.stat(newId(), "/tmp", soon()), inside.read(newId(), "/", soon())]) {
      assertFalse((await call).ok, "of no container");
    }
  },

  "a large file comes whole through many pieces": async (bench) => {
    const { taskId } = await bench.started();
    const data = new Uint8Array(3 * MIB + 17).map((_, i) => i * 31 % 251);
    const tar = joined([tarEntry({ name: "big", type: "file", mode: 0o644, data }), TAR_END]);
    const parts = Array.from({ length: 50 }, (_, i) => {
      const size = Math.ceil(tar.length / 50);
      return tar.subarray(i * size, (i + 1) * size);
    });
    ok(await bench.runtime.inside.write(taskId, "/tmp", pieces(...parts), soon()));
    let [at, same] = [0, true];
    for await (
      const { content } of readTar(
        ok(await bench.runtime.inside.read(taskId, "/tmp/big", soon())),
      )
    ) {
      for await (const piece of content) {
        same &&= piece.every((byte, i) => byte === data[at + i]);
        at += piece.length;
      }
    }
    assertEquals([at, same], [data.length, true]);
  },

  "attached, one hears and speaks to the main process": async (bench) => {
    const { taskId } = await bench.started(ECHOING);
    const session = await attach(bench, taskId, { stdin: true });
    let said = "";
    const reading = (async () => {
      for await (const { data } of session.output) said += decode(data);
    })();
    await session.write(encoder.encode("hello\n"));
    await eventually(() => said === "hello\n", { what: "the echo" });
    await session.close();
    await reading;
    assertEquals((await bench.status(taskId)).state, "running", "it goes on without us");
    const again = await attach(bench, taskId, { stdin: true });
    const heard = text(again.output);
    await again.signal("SIGKILL");
    assertEquals((await heard).stdout, "", "only what comes after the beginning");
    assertEquals(await again.exitCode(), 137);
    await again.close();
  },

  "what a main process said before one attached comes first when that is asked for": async (
    bench,
  ) => {
    const { taskId } = await bench.started({
      ...ECHOING,
      command: ["sh", "-c", "echo before; cat"],
    });
    await eventually(async () => (await logged(bench, taskId)).includes("before"), {
      what: "the first line",
    });
    const session = await attach(bench, taskId, { stdin: true, replay: true });
    const heard = text(session.output);
    await session.write(encoder.encode("after\n"));
    await eventually(async () => (await logged(bench, taskId)).includes("after"), {
      what: "the echo",
    });
    await session.signal("SIGKILL");
    assertEquals((await heard).stdout, "before\nafter\n");
    await session.close();
  },

  "input that is open for one client ends with it, and so does what reads it": async (bench) => {
    const { taskId } = await bench.started({
      ...ECHOING,
      container: { stdinOpen: true, stdinOnce: true },
    });
    const session = await attach(bench, taskId, { stdin: true, replay: true });
    const heard = text(session.output);
    await session.write(encoder.encode("all of it\n"));
    session.endInput();
    assertEquals((await heard).stdout, "all of it\n");
    assertEquals(await session.exitCode(), 0);
    await session.close();
  },

  "one attaches to no container that does not run": async (bench) => {
    const { taskId } = await bench.started({ command: ["sh", "-c", "exit 0"] });
    await bench.exited(taskId);
    const refused = await bench.runtime.inside.attach(taskId, { stdin: false }, soon());
    assertEquals([refused.ok, !refused.ok && refused.kind], [false, "refused"]);
  },
};
