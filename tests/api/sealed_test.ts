import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { dump } from "../support/kv.ts";
import { seedNode, seedTask } from "../support/seed.ts";

const CANARY = "canary-d41c8f";
const DATA = encodeBase64(new TextEncoder().encode(CANARY));

/** Every form in which the value could show. */
function shows(text: string): boolean {
  return [CANARY, DATA, encodeURIComponent(CANARY)].some((form) => text.includes(form));
}

async function answer(t: TestApi, method: string, path: string, body?: unknown): Promise<string> {
  const response = await t.send(method, path, body === undefined ? {} : { body });
  const headers = JSON.stringify([...response.headers]);
  return `${response.status} ${headers} ${await response.text()}`;
}

Deno.test("no answer to an admin has a secret's value, errors included", () =>
  withApi(async (t) => {
    const template = { image: "nginx:1.27", secrets: [{ source: "pw" }] };
    const spec = { name: "web", template };
    const answers: string[] = [];
    const ask = async (method: string, path: string, body?: unknown) =>
      void answers.push(await answer(t, method, path, body));
    await ask("POST", "/v1/secrets", { name: "pw", data: DATA });
    await ask("POST", "/v1/secrets", { name: "pw", data: DATA });
    await ask("POST", "/v1/secrets", { name: "!", data: DATA });
    await ask("POST", "/v1/secrets", { name: "pw2", data: `${DATA}!` });
    await ask("POST", "/v1/secrets", { name: "pw2", data: DATA, oops: DATA });
    await ask("POST", "/v1/secrets", `{"name": "pw2", "data": "${DATA}" oops`);
    await ask("POST", "/v1/secrets", CANARY);
    await ask("POST", "/v1/services", spec);
    await ask("PUT", "/v1/secrets/pw", { data: encodeBase64(new Uint8Array([1])) });
    await ask("PUT", "/v1/secrets/pw", { data: DATA });
    for (
      const path of [
        "/v1/secrets",
        "/v1/secrets/pw",
        "/v1/secrets/pw/value",
        "/v1/configs/pw/value",
        "/v1/services",
        "/v1/services/web",
        "/v1/services/web/revisions",
        "/v1/tasks",
        "/v1/events",
        "/v1/queue/parked",
        "/metrics",
      ]
    ) await ask("GET", path);
    await ask("POST", "/v1/plan", { specs: [spec] });
    await ask("DELETE", "/v1/secrets/pw");
    assertEquals(answers.filter(shows), []);
    assertEquals(JSON.stringify(t.errors), "[]");
    assertEquals(answers.slice(0, 2).map((text) => text.slice(0, 3)), ["201", "409"]);
    const rows = JSON.stringify(
      [...await dump(t.kv)],
      (_key, value) => value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
    );
    assert(!shows(rows), "it is in the database");
  }));

Deno.test("values are for the node of the task alone: not for admins, joiners and other nodes", () =>
  withApi(async (t) => {
    const [node, other, task] = [idOf(1), idOf(2), idOf(3)];
    const [own, strange] = [await seedNode(t.kv, node, "n1"), await seedNode(t.kv, other, "n2")];
    const client = t.client();
    okValue(await client.createSecret({ name: "pw", data: DATA }));
    const template = { image: "nginx:1.27", secrets: [{ source: "pw" }] };
    const web = okValue(await client.createService({ name: "web", template }));
    await seedTask(t.kv, { id: task, serviceId: web.id, nodeId: node });
    const files = okValue(await t.client(own).taskFiles(node, task));
    assertEquals(files.files, [{ kind: "secret", source: "pw", version: 1, data: DATA }]);
    for (const token of [t.admin, t.join, strange]) {
      assertEquals(problemOf(await t.client(token).taskFiles(node, task)).status, 403);
    }
    assertEquals(problemOf(await t.client(strange).taskFiles(other, task)).status, 404);
  }));

Deno.test("a config's value can be read, a repeated creation is one, and its key is kept for it", () =>
  withApi(async (t) => {
    const send = (data: string) =>
      t.send("POST", "/v1/configs", {
        body: { name: "app.conf", data },
        headers: { "idempotency-key": "k1" },
      });
    const [first, second] = [await send(DATA), await send(DATA)];
    assertEquals([first.status, second.status], [201, 201]);
    assertEquals(second.headers.get("idempotent-replay"), "true");
    assertEquals((await first.json()).id, (await second.json()).id);
    const third = await send(encodeBase64(new Uint8Array([1])));
    assertEquals(third.status, 422);
    await third.body?.cancel();
    const value = okValue(await t.client().getConfigValue("app.conf"));
    assertEquals(value, { version: 1, data: DATA });
    const missing = problemOf(await t.client().getConfigValue("app.conf", { version: 2 }));
    assertStringIncludes(missing.detail ?? "", "version 2 of config app.conf is gone");
  }));
