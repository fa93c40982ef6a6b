import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import type { RouteInput } from "../../kv/schema/route.ts";
import { ServiceSpec, type ServiceSpecInput } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createSealed, removeSealed, rotateSealed } from "../../kv/sealed.ts";
import { createService, deleteService, putService } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { certificateFor } from "../support/certificates.ts";
import { countingIds } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { TEST_VAULT } from "../support/vault.ts";

function depsOf(kv: Kv, first = 1) {
  return { kv, clock: systemClock, newId: countingIds(first), vault: TEST_VAULT };
}

function specOf(name: string, routes: RouteInput[], more: Partial<ServiceSpecInput> = {}) {
  const template = { image: "nginx:1.27", ports: [{ target: 80 }] };
  return ServiceSpec.parse({ name, template, routes, ...more });
}

const ref = (name: string) => ({ ref: name, project: "default" });
const plain = (host: string, path = "/") => ({ host, path, tls: "plain" as const });

async function claimed(kv: Kv): Promise<string[]> {
  const places: string[] = [];
  for await (const entry of kv.list({ prefix: ["route"] })) places.push(String(entry.key[1]));
  return places;
}

Deno.test("a host and path belong to one service: another one that asks for them is refused, unchanged", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf("web", [plain("a.test"), plain("a.test", "/api")])));
    const before = await dump(kv);
    const taken = [plain("b.test"), plain("A.test", "/API/")];
    const refusal = assertRefused(await createService(deps, specOf("api", taken)));
    assertEquals(refusal.kind, "route-taken");
    assertStringIncludes(refusal.detail, "a.test/API is routed to service default/web");
    assertEquals(refusal.errors?.map((e) => e.field), ["routes.1.host"]);
    assertEquals(await dump(kv), before);
    assertOk(
      await createService(deps, specOf("api", [plain("a.test", "/other"), plain("*.test")])),
    );
  }));

Deno.test("of many services that ask for one place at once exactly one gets it", () =>
  withKv(async (kv) => {
    for (const routes of [[plain("a.test")], [plain("c.test"), plain("d.test"), plain("e.test")]]) {
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          createService(
            depsOf(kv, 1000 * (i + 1) + routes.length * 100),
            specOf(`web-${routes.length}-${i}`, routes),
          )),
      );
      assertEquals(made.filter(({ ok }) => ok).length, 1);
    }
  }));

Deno.test("changing routes is no new revision, and frees what is no longer asked for", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf("web", [plain("a.test"), plain("b.test")])));
    const next = [plain("b.test"), plain("c.test")];
    const put = assertOk(await putService(deps, ref("web"), specOf("web", next)));
    assertEquals([put.value.revision, put.value.routes?.length], [1, 2]);
    assertEquals(await claimed(kv), ["b.test/", "c.test/"]);
    assertOk(await createService(deps, specOf("api", [plain("a.test")])));
  }));

Deno.test("a certificate is a secret of the project whose key fits, and is so pinned", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [good, other] = [await certificateFor("a.test"), await certificateFor("b.test")];
    const secret = (name: string, text: string) =>
      createSealed(deps, "secret", { name, project: "default", labels: {}, data: btoa(text) });
    assertOk(await secret("crossed", good.chain + other.key));
    assertOk(await secret("garbage", "no PEM"));
    assertOk(await secret("keyless", good.chain));
    const { value } = assertOk(await secret("good", good.key + good.chain));
    const routed = (certificate: string) =>
      createService(
        deps,
        specOf("web", [plain("x.test"), { host: "a.test", tls: { certificate } }]),
      );
    const before = await dump(kv);
    for (
      const [name, why] of [
        ["crossed", "does not match its private key"],
        ["garbage", "has no certificate"],
        ["keyless", "has 0 private keys"],
        ["absent", "is not in project default"],
      ] as const
    ) {
      const refusal = assertRefused(await routed(name));
      assertEquals([refusal.kind, refusal.errors?.[0]?.field], [
        "invalid",
        "routes.1.tls.certificate",
      ]);
      assertStringIncludes(refusal.errors?.[0]?.message ?? "", why);
      assert(!JSON.stringify(refusal).includes("PRIVATE KEY-----"));
    }
    assertEquals(await dump(kv), before);
    const made = assertOk(await routed("good"));
    assertEquals(made.value.certificates, { good: { id: value.id, version: 1 } });
  }));

Deno.test("a certificate in use takes no value that it cannot have, reaches its routes, and stays", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [one, two] = [await certificateFor("a.test"), await certificateFor("a.test")];
    const made = { name: "pem", project: "default", labels: {}, data: btoa(one.chain + one.key) };
    assertOk(await createSealed(deps, "secret", made));
    const pem = { kind: "secret" as const, ...ref("pem") };
    const routes: RouteInput[] = [{ host: "a.test", tls: { certificate: "pem" } }];
    const web = assertOk(await createService(deps, specOf("web", routes)));
    const crossed = assertRefused(
      await rotateSealed(deps, pem, { data: btoa(one.chain + two.key) }),
    );
    assertEquals(crossed.errors?.map(({ field }) => field), ["data"]);
    assertEquals(assertRefused(await removeSealed(deps, pem)).kind, "busy");
    const rotated = assertOk(await rotateSealed(deps, pem, { data: btoa(two.chain + two.key) }));
    assertEquals(rotated.value.usedBy, ["web"]);
    const row = (await kv.get<{ revision: number; certificates: unknown }>(
      key.service(web.value.id),
    )).value;
    assertEquals(row?.revision, 1);
    assertEquals(row?.certificates, { pem: { id: rotated.value.id, version: 2 } });
    assertOk(await putService(deps, ref("web"), specOf("web", [])));
    assertOk(await removeSealed(deps, pem));
  }));

Deno.test("a service is not taken back to a revision that lacks the port of a route", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const template = { image: "nginx:1.27", ports: [{ target: 9000 }] };
    assertOk(await createService(deps, ServiceSpec.parse({ name: "web", template })));
    const routes = [{ ...plain("a.test"), port: 80 }];
    assertOk(await putService(deps, ref("web"), specOf("web", routes)));
    const refusal = assertRefused(await steerRollout(deps, ref("web"), { action: "undo" }));
    assertEquals(refusal.errors?.map(({ field }) => field), ["routes.0.port"]);
  }));

Deno.test("a service that is being removed keeps its routes until it is gone", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf("web", [plain("a.test")])));
    assertOk(await deleteService(deps, ref("web")));
    const refusal = assertRefused(await createService(deps, specOf("api", [plain("a.test")])));
    assertStringIncludes(refusal.detail, "which is being removed");
  }));
