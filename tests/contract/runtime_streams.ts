/**
 * Contract: logs and exec.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { type Case, newId, ok, soon, text, trapping } from "./runtime_bench.ts";

const SPEAKING = ["sh", "-c", "echo one; echo two; echo three >&2; exit 0"];

export const streams: Record<string, Case> = {
  "logs keep stdout and stderr apart and outlive the container's end": async (bench) => {
    const { taskId } = await bench.started({ command: SPEAKING });
    await bench.exited(taskId);
    assertEquals(await text(await bench.logs(taskId)), {
      stdout: "one\ntwo\n",
      stderr: "three\n",
    });
    assertEquals(await text(await bench.logs(taskId, { follow: true })), {
      stdout: "one\ntwo\n",
      stderr: "three\n",
    });
  },

  "tail and since choose, timestamps stamp": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "echo one; echo two; sleep 0.2; exit 0"],
    });
    await bench.exited(taskId);
    assertEquals((await text(await bench.logs(taskId, { tail: 1 }))).stdout, "two\n");
    assertEquals((await text(await bench.logs(taskId, { tail: 0 }))).stdout, "");
    const later = (Date.now() + 60_000) / 1000;
    assertEquals((await text(await bench.logs(taskId, { sinceSeconds: later }))).stdout, "");
    const stamped = (await text(await bench.logs(taskId, { tail: 1, timestamps: true }))).stdout;
    assertMatch(stamped, /^\d{4}-\d\d-\d\dT[\d:.]+Z two\n$/);
  },

  "followed logs come as they are written and end with the container": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "echo early; sleep 1; echo late; exit 0"],
    });
    const chunks: string[] = [];
    for await (const { data } of await bench.logs(taskId, { follow: true })) {
      chunks.push(new TextDecoder().decode(data));
    }
    assertEquals(chunks.join(""), "early\nlate\n");
    assertEquals((await bench.exited(taskId)).exitCode, 0);
  },

  "followed logs end when their signal aborts or the reader leaves": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "echo here; while true; do sleep 0.1; done"],
    });
    const until = new AbortController();
    const output = await bench.logs(taskId, { follow: true }, until.signal);
    for await (const _ of output) until.abort();
    for await (const _ of await bench.logs(taskId, { follow: true })) break;
    assertEquals((await bench.status(taskId)).state, "running");
  },

  "the container's terminal makes one stream": async (bench) => {
    const { taskId } = await bench.started({ command: ["echo", "hello"], tty: true });
    await bench.exited(taskId);
    const { stdout, stderr } = await text(await bench.logs(taskId));
    assertEquals([stdout.trim(), stderr], ["hello", ""]);
  },

  "exec runs a command and tells its exit code": async (bench) => {
    const { taskId } = await bench.started();
    const session = await bench.exec(taskId, {
      command: ["sh", "-c", "echo out; echo err >&2; exit 5"],
    });
    assertEquals(await text(session.output), { stdout: "out\n", stderr: "err\n" });
    assertEquals(await session.exitCode(), 5);
    await session.close();
  },

  "exec passes standard input until its end": async (bench) => {
    const { taskId } = await bench.started();
    const session = await bench.exec(taskId, { command: ["cat"], stdin: true });
    const said = text(session.output);
    await session.write(new TextEncoder().encode("through "));
    await session.write(new TextEncoder().encode("and through"));
    session.endInput();
    assertEquals((await said).stdout, "through and through");
    assertEquals(await session.exitCode(), 0);
    await session.close();
  },

  "an unknown command exits with 126 or 127": async (bench) => {
    const { taskId } = await bench.started();
    const session = await bench.exec(taskId, { command: [`absent-${newId()}`] });
    await text(session.output);
    const code = await session.exitCode();
    assert(code === 126 || code === 127, String(code));
    await session.close();
  },

  "closing a session leaves nothing running": async (bench) => {
    const { taskId } = await bench.started();
    for (const tty of [false, true]) {
      for (const stdin of [false, true]) {
        const session = await bench.exec(taskId, { command: ["sleep", "1000"], tty, stdin });
        const said = text(session.output);
        await eventually(async () => (await bench.harness.processes(taskId)).length === 1);
        await session.close();
        await session.close();
        await said;
        assertEquals(await bench.harness.processes(taskId), [], `tty ${tty}, stdin ${stdin}`);
      }
    }
  },

  "closing a session at once leaves nothing running": async (bench) => {
    const { taskId } = await bench.started();
    for (const tty of [false, true]) {
      const session = await bench.exec(taskId, { command: ["sleep", "1000"], tty, stdin: true });
      await session.close();
      assertEquals(await bench.harness.processes(taskId), []);
    }
  },

  "an aborted opening signal does not end an open session": async (bench) => {
    const { taskId } = await bench.started();
    const opening = new AbortController();
    const session = ok(
      await bench.runtime.exec(
        taskId,
        { command: ["cat"], tty: false, stdin: true, env: {} },
        opening.signal,
      ),
    );
    opening.abort();
    const said = text(session.output);
    await session.write(new TextEncoder().encode("still here"));
    session.endInput();
    assertEquals((await said).stdout, "still here");
    await session.close();
  },

  "a signal reaches the command": async (bench) => {
    const { taskId } = await bench.started();
    const session = await bench.exec(taskId, { command: ["sleep", "1000"] });
    const said = text(session.output);
    await eventually(async () => (await bench.harness.processes(taskId)).length === 1);
    await session.signal("SIGTERM");
    await said;
    assertEquals(await session.exitCode(), 143);
    await session.close();
  },

  "a terminal can be resized": async (bench) => {
    const { taskId } = await bench.started();
    const session = await bench.exec(taskId, {
      command: ["cat"],
      tty: true,
      stdin: true,
      columns: 90,
      rows: 20,
    });
    await session.resize(100, 30);
    await session.close();
    await text(session.output);
  },

  "a session ends with its container": async (bench) => {
    const { taskId } = await bench.started({ command: trapping(0) });
    const session = await bench.exec(taskId, { command: ["sleep", "1000"] });
    const said = text(session.output);
    ok(await bench.runtime.remove(taskId, soon()));
    await said;
    assertEquals(await session.exitCode(), 137);
    await session.close();
  },
};
