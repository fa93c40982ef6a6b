import { assertEquals } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import type { Rollout } from "../../kv/schema/rollout.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createService, putService } from "../../kv/services.ts";
import { countingIds } from "../support/ids.ts";
import { before, withKv } from "../support/kv.ts";
import { assertOk } from "../support/outcome.ts";
import { AT, specOf } from "../support/seed.ts";

const WEB = { ref: "web", project: "default" };

Deno.test("a restart while the leader goes back is one of what it goes back to", () =>
  withKv(async (kv) => {
    const deps = { kv, clock: systemClock, newId: countingIds() };
    const { id } = assertOk(await createService(deps, specOf())).value;
    assertOk(await putService(deps, WEB, specOf({ template: { image: "bad" } })));
    const row: Rollout = {
      ...{ revision: 2, state: "progressing", stable: 1, back: false, promoted: false, at: AT },
    };
    await kv.atomic().set(key.rollout(id), row).commit();
    const goBack = async () => {
      await kv.atomic().set(key.rollout(id), { ...row, state: "rolling-back", back: true })
        .commit();
    };
    const late = { ...deps, kv: before(kv, "revision", goBack) };
    const { value } = assertOk(await steerRollout(late, WEB, { action: "restart" }));
    assertEquals([value.revision, value.template.image], [3, "nginx:1.27"]);
  }));
