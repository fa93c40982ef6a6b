import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { prefix } from "../../kv/keys.ts";
import type { Port } from "../../kv/schema/port.ts";
import { ServiceSpec, type ServiceSpecInput, TaskTemplate } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import { createService, putService, type ServiceDeps } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds } from "../support/ids.ts";
import { bound, dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";

function depsOf(kv: Kv, first = 1): ServiceDeps {
  return { kv, clock: systemClock, newId: countingIds(first) };
}

type PortInput = Partial<Port> & { target: number };

function specOf(name: string, ports: PortInput[], more: Partial<ServiceSpecInput> = {}) {
  return ServiceSpec.parse({ name, template: { image: "nginx:1.27", ports }, ...more });
}

async function owners(kv: Kv): Promise<Record<string, unknown>> {
  const rows: Record<string, unknown> = {};
  for await (const { key: at, value } of kv.list({ prefix: [...prefix.ports("tcp")] })) {
    rows[String(at[2])] = value;
  }
  return rows;
}

const ref = (name: string) => ({ ref: name, project: "default" });

Deno.test("a published port belongs to one service: another one that asks for it is refused, unchanged", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const web = assertOk(
      await createService(deps, specOf("web", [{ target: 80, published: 8080 }])),
    );
    assertEquals(web.value.ingressPorts, [{ target: 80, protocol: "tcp", published: 8080 }]);
    const before = await dump(kv);
    const taken = [{ target: 1 }, { target: 90, published: 8080 }];
    const refusal = assertRefused(await createService(deps, specOf("api", taken)));
    assertEquals(refusal.kind, "port-taken");
    assertStringIncludes(refusal.detail, "tcp/8080 is published by service default/web");
    assertEquals(refusal.errors?.map((e) => e.field), ["template.ports.1.published"]);
    assertEquals(await dump(kv), before);
    assertRefused(
      await createService(deps, specOf("api", [{ target: 90, published: 8080, mode: "host" }])),
    );
    assertOk(
      await createService(deps, specOf("dns", [{ target: 53, published: 8080, protocol: "udp" }])),
    );
  }));

Deno.test("a service that no longer publishes a port frees it in the same commit", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const old = specOf("web", [{ target: 80, published: 8080 }]);
    const { value: { id } } = assertOk(await createService(deps, old));
    assertOk(await putService(deps, ref("web"), specOf("web", [{ target: 80, published: 9090 }])));
    assertEquals(await owners(kv), { 9090: id });
    const api = assertOk(
      await createService(deps, specOf("api", [{ target: 80, published: 8080 }])),
    );
    assertEquals(await owners(kv), { 8080: api.value.id, 9090: id });
    const back = await steerRollout(deps, ref("web"), { action: "undo" });
    assertEquals(assertRefused(back).kind, "port-taken");
    assertOk(await putService(deps, ref("api"), specOf("api", [])));
    const undone = assertOk(await steerRollout(deps, ref("web"), { action: "undo" }));
    assertEquals(undone.value.ingressPorts.map((p) => p.published), [8080]);
    assertEquals(await owners(kv), { 8080: id });
  }));

Deno.test("of many services that ask for one port at once exactly one gets it", () =>
  withKv(async (kv) => {
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        createService(
          depsOf(kv, 1000 * (i + 1)),
          specOf(`web-${i}`, [{ target: 80, published: 8080 }]),
        )),
    );
    assertEquals(made.filter((one) => one.ok).length, 1);
    assertEquals(Object.keys(await owners(kv)), ["8080"]);
  }));

Deno.test("of services that ask for many ports at once none shares one with another", () =>
  withKv(async (kv) => {
    const many = (from: number) =>
      Array.from({ length: 20 }, (_, i) => ({ target: i + 1, published: from + i }));
    const made = await Promise.all([
      createService(depsOf(kv, 1000), specOf("a", many(8000))),
      createService(depsOf(kv, 2000), specOf("b", many(8019))),
      createService(depsOf(kv, 3000), specOf("c", [{ target: 1, published: 8019 }])),
    ]);
    const through = made.flatMap((one) => one.ok ? [one.value.value] : []);
    const held = through.flatMap(({ ingressPorts }) => ingressPorts.map((p) => p.published));
    assertEquals(new Set(held).size, held.length);
    assertEquals(Object.keys(await owners(kv)).map(Number), held.sort());
    assert(through.length >= 1);
  }));

Deno.test("a commit that claims many ports has no more checks than denokv takes", () =>
  withKv(async (kv) => {
    let most = 0;
    const counting: Kv = {
      ...bound(kv),
      atomic() {
        const op = kv.atomic();
        const check = op.check.bind(op);
        let checks = 0;
        op.check = (...all) => {
          checks += all.length;
          most = Math.max(most, checks);
          return check(...all);
        };
        return op;
      },
    };
    const once = { tokenId: "t", key: "k", request: "r", wallMs: 0 };
    for (const [i, count] of [6, 7, 60].entries()) {
      const ports = Array.from({ length: count }, (_, n) => ({
        target: n + 1,
        published: 1000 * (i + 1) + n,
      }));
      const used = { ...once, key: `k${i}` };
      assertOk(
        await createService(depsOf(counting, 1000 * (i + 1)), specOf(`s${i}`, ports), {
          once: used,
        }),
      );
    }
    assert(most <= 10, `${most} checks`);
  }));

Deno.test("a range gives any free port of it, and the same one from then on", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const range = { target: 80, published: { from: 8000, to: 8002 } };
    const made: number[] = [];
    for (const name of ["a", "b", "c"]) {
      const { value } = assertOk(await createService(deps, specOf(name, [range])));
      made.push(...value.ingressPorts.map((p) => p.published));
    }
    assertEquals([...made].sort(), [8000, 8001, 8002]);
    const refusal = assertRefused(await createService(deps, specOf("d", [range])));
    assertEquals(refusal.errors?.[0]?.field, "template.ports.0.published");
    const labelled = specOf("a", [range], { labels: { tier: "front" } });
    const { value } = assertOk(await putService(deps, ref("a"), labelled));
    assertEquals(value.ingressPorts.map((p) => p.published), [made[0]]);
    const twice = specOf("e", [{ target: 80, published: 9000 }, {
      target: 81,
      published: { from: 9000, to: 9001 },
    }]);
    const both = assertOk(await createService(deps, twice)).value.ingressPorts;
    assertEquals(both.map((p) => p.published), [9000, 9001]);
  }));

Deno.test("a template that asks twice for one port, or for a range of a node, is refused where it says so", () => {
  const cases: [string, PortInput[], (string | number)[]][] = [
    ["twice", [{ target: 80, published: 80 }, { target: 81, published: 80 }], [
      "ports",
      1,
      "published",
    ]],
    ["range in mode host", [{ target: 80, published: { from: 1, to: 2 }, mode: "host" }], [
      "ports",
      0,
      "published",
    ]],
    ["upside down", [{ target: 80, published: { from: 2, to: 1 } }], ["ports", 0, "published"]],
  ];
  for (const [what, ports, path] of cases) {
    const parsed = TaskTemplate.safeParse({ image: "a", ports });
    assert(!parsed.success, what);
    assertEquals(parsed.error.issues[0]?.path, path, what);
  }
  const udp = [{ target: 80, published: 80 }, { target: 80, published: 80, protocol: "udp" }];
  assert(TaskTemplate.safeParse({ image: "a", ports: udp }).success);
});
