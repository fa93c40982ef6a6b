import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newRecord, type TaskRecord } from "../../worker/record.ts";
import {
  createFileStore,
  createSaver,
  fromStored,
  toStored,
  writeFileAtomically,
} from "../../worker/state_file.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const node = idOf(7);
const set = { version: 3, assignments: new Map([[idOf(1), assignmentOf(1)]]) };
const record: TaskRecord = {
  ...newRecord(assignmentOf(1)),
  startedBefore: "2030-01-01T00:00:00.123456789Z",
  restartsMs: [1_000, 4_000],
  dueMs: 7_000,
};

async function inTemporaryDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("what is stored comes back, with times on the new process's clock", async () => {
  await inTemporaryDir(async (dir) => {
    await createFileStore(dir).save(toStored(node, set, [record], 5_000));
    const { state, warning } = await createFileStore(dir).load();
    assertEquals(warning, undefined);
    assert(state);
    const restored = fromStored(state, 100);
    assertEquals(restored.set, set);
    assertEquals(restored.records.get(idOf(1)), {
      ...record,
      restartsMs: [100 - 4_000, 100 - 1_000],
      dueMs: 100 + 2_000,
    });
  });
});

Deno.test("a later save says what became of each task since, and of its assignment", async () => {
  await inTemporaryDir(async (dir) => {
    const store = createFileStore(dir);
    const [same, stopped, ran] = [newRecord(assignmentOf(1)), newRecord(assignmentOf(2)), record];
    const ranTask = { ...ran, observed: { ...ran.observed, taskId: idOf(3) } };
    await store.save(toStored(node, set, [same, stopped, ranTask], 5_000));
    stopped.stop = { graceMs: 77 };
    const assignments = new Map([[idOf(1), { ...assignmentOf(1), desired: "stop" as const }]]);
    await store.save(toStored(node, { version: 4, assignments }, [same, stopped, ranTask], 6_000));
    const { state } = await createFileStore(dir).load();
    assert(state);
    assertEquals(state.assignments.map(({ desired }) => desired), ["stop"]);
    assertEquals(state.tasks.map(({ stop }) => stop.graceMs), [
      ...[same.stop.graceMs, 77, record.stop.graceMs],
    ]);
    assertEquals(state.tasks.map(({ waitMs }) => waitMs), [undefined, undefined, 1_000]);
  });
});

Deno.test("without a file there is no state and no warning", async () => {
  await inTemporaryDir(async (dir) => assertEquals(await createFileStore(dir).load(), {}));
});

Deno.test("the file is for its owner alone, and replaced in one step", async () => {
  await inTemporaryDir(async (dir) => {
    await createFileStore(dir).save(toStored(node, set, [], 0));
    const { mode } = await Deno.stat(`${dir}/state.json`);
    assertEquals((mode ?? 0) & 0o777, 0o600);
    const names = Array.from(Deno.readDirSync(dir), (entry) => entry.name);
    assertEquals(names, ["state.json"]);
  });
});

Deno.test("a file cut at any byte is a warning, never half a state", async () => {
  await inTemporaryDir(async (dir) => {
    const whole = JSON.stringify(toStored(node, set, [record], 0));
    for (let length = 0; length < whole.length; length += 97) {
      await writeFileAtomically(`${dir}/state.json`, whole.slice(0, length));
      const { state, warning } = await createFileStore(dir).load();
      assertEquals(state, undefined);
      assertStringIncludes(warning ?? "", "is damaged");
    }
    assertEquals(await Deno.stat(`${dir}/state.json.damaged`).then((s) => s.isFile), true);
  });
});

Deno.test("a file of another shape is a warning", async () => {
  await inTemporaryDir(async (dir) => {
    await writeFileAtomically(`${dir}/state.json`, '{"format":2}');
    assertStringIncludes((await createFileStore(dir).load()).warning ?? "", "is damaged");
  });
});

Deno.test("saves that come during a write share the next one, and none is lost", async () => {
  let value = 0;
  const written: number[] = [];
  let release = () => {};
  const saver = createSaver(async () => {
    const taken = value;
    await new Promise<void>((resolve) => release = resolve);
    written.push(taken);
  }, () => {});
  const saves = [1, 2, 3].map((next) => {
    value = next;
    return saver.save();
  });
  release();
  await saves[0];
  await Promise.resolve();
  release();
  assertEquals(await Promise.all(saves), [true, true, true]);
  assertEquals(written, [1, 3]);
});

Deno.test("a failed save says so and does not stop the next", async () => {
  const errors: string[] = [];
  let broken = true;
  const saver = createSaver(
    () => broken ? Promise.reject(new Error("disk full")) : Promise.resolve(),
    (message) => errors.push(message),
  );
  assertEquals(await saver.save(), false);
  broken = false;
  assertEquals(await saver.save(), true);
  assertEquals(errors, ["disk full"]);
});
