import { assertEquals } from "@std/assert";
import { findUse, type Once, recordUse } from "../../kv/idempotency.ts";
import { readQueue } from "../../kv/queue.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createService, putService, type ServiceDeps } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk } from "../support/outcome.ts";
import { specOf } from "../support/seed.ts";

function depsOf(kv: Kv): ServiceDeps {
  return { kv, clock: systemClock, newId: countingIds() };
}

const WEB = { ref: "web", project: "default" };

const once = (request: string): Once => ({ tokenId: idOf(7), key: "k", request, wallMs: 0 });

Deno.test("a repeated write happens once, however many arrive together", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const all = await Promise.all(
      Array.from({ length: 8 }, () => createService(deps, specOf(), { once: once("a") })),
    );
    const written = all.map((outcome) => assertOk(outcome));
    assertEquals(new Set(written.map((w) => w.value.id)).size, 1);
    assertEquals(written.filter((w) => w.replay === undefined).length, 1);
    assertEquals((await readQueue(kv, 10)).length, 1);
  }));

Deno.test("a key that stands for another request is refused and changes nothing", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf(), { once: once("a") }));
    const before = await dump(kv);
    const other = await putService(deps, WEB, specOf({ stopped: true }), { once: once("b") });
    assertEquals(other.ok ? undefined : other.refusal.kind, "key-reused");
    assertEquals(await dump(kv), before);
  }));

Deno.test("a repetition under way with the first is not refused for what the first changed", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { version } = assertOk(await createService(deps, specOf())).value;
    const all = await Promise.all(
      Array.from(
        { length: 6 },
        () =>
          putService(deps, WEB, specOf({ stopped: true }), { ifMatch: version, once: once("p") }),
      ),
    );
    assertEquals(all.filter((outcome) => assertOk(outcome).replay === undefined).length, 1);
  }));

Deno.test("of two requests that arrive together under one key, one is carried out", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const all = await Promise.all(
      ["a", "b", "c", "d"].map((name) =>
        createService(deps, specOf({ name }), { once: once(name) })
      ),
    );
    assertEquals(all.filter((outcome) => outcome.ok).length, 1);
    assertEquals(
      all.flatMap((outcome) => outcome.ok ? [] : [outcome.refusal.kind]),
      ["key-reused", "key-reused", "key-reused"],
    );
    assertEquals((await readQueue(kv, 10)).length, 1);
  }));

Deno.test("a repetition of a change that others changed since does not undo theirs", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf()));
    // Without effect the first time: the key still has to stand for it.
    assertOk(await putService(deps, WEB, specOf(), { once: once("p") }));
    assertOk(await putService(deps, WEB, specOf({ stopped: true })));
    const again = assertOk(await putService(deps, WEB, specOf(), { once: once("p") }));
    assertEquals(again.replay, 200);
    assertEquals(again.value.stopped, true);
  }));

Deno.test("the row of a key and the effect are one commit", () =>
  withKv(async (kv) => {
    const failing = kv.atomic().check({ key: ["x"], versionstamp: "00000000000000010000" });
    const op = recordUse(failing.set(["x"], 1), once("a"), { status: 200, objectId: "x" });
    assertEquals((await op.commit()).ok, false);
    const use = await findUse(kv, once("a"));
    assertEquals(assertOk(use), undefined);
  }));
