import { assertEquals, assertStringIncludes } from "@std/assert";
import { okValue, problemOf, withApi } from "../support/api.ts";

const ANN = { id: "ann-1234", holder: "ann@desk (berth up)" };
const BEN = { id: "ben-1234", holder: "ben@lap (berth up)" };

Deno.test("a project's lock is one holder's, who is named to others and is not given away", () =>
  withApi(async (t) => {
    const client = t.client();
    const held = okValue(await client.lockProject("shop", ANN));
    const refused = problemOf(await client.lockProject("shop", BEN));
    assertEquals(refused.status, 409);
    assertStringIncludes(
      refused.detail ?? "",
      "shop is being changed by ann@desk (berth up) since",
    );
    assertEquals(JSON.stringify(okValue(await client.readLock("shop"))).includes(ANN.id), false);
    const renewed = okValue(await client.lockProject("shop", ANN));
    assertEquals([renewed.renewals, renewed.since], [1, held.since]);
    assertEquals(renewed.version === held.version, false);
    assertEquals(okValue(await client.lockProject("other", BEN)).project, "other");
  }));

Deno.test("only the holder releases a lock, and releasing twice is no error", () =>
  withApi(async (t) => {
    const client = t.client();
    okValue(await client.lockProject("shop", ANN));
    okValue(await client.unlockProject("shop", BEN.id));
    assertEquals(problemOf(await client.lockProject("shop", BEN)).status, 409);
    okValue(await client.unlockProject("shop", ANN.id));
    okValue(await client.unlockProject("shop", ANN.id));
    assertEquals(problemOf(await client.readLock("shop")).status, 404);
    okValue(await client.lockProject("shop", BEN));
  }));

Deno.test("a lock is taken over by whoever names its version, and by one of them only", () =>
  withApi(async (t) => {
    const client = t.client();
    const seen = okValue(await client.lockProject("shop", ANN));
    okValue(await client.lockProject("shop", ANN));
    const stale = await client.lockProject("shop", { ...BEN, replaces: seen.version });
    assertEquals(problemOf(stale).status, 409, "it was renewed since it was seen");
    const { version } = okValue(await client.readLock("shop"));
    const both = await Promise.all(
      [BEN, { ...BEN, id: "eve-1234" }].map((who) =>
        client.lockProject("shop", { ...who, replaces: version })
      ),
    );
    assertEquals(both.filter((one) => one.ok).length, 1);
    assertEquals(problemOf(await client.lockProject("shop", ANN)).status, 409);
  }));
