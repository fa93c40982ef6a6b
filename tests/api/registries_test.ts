import { assert, assertEquals } from "@std/assert";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { dump } from "../support/kv.ts";
import { seedNode, seedTask } from "../support/seed.ts";

const CANARY = "canary-5be0f1";
const LOGIN = { username: "ann", password: CANARY };
const IMAGE = "ghcr.io/shop/app:1";
const PIN = { digest: `sha256:${"a".repeat(64)}` };

function shows(text: string): boolean {
  return [CANARY, btoa(CANARY), btoa(`ann:${CANARY}`)].some((form) => text.includes(form));
}

async function answer(t: TestApi, method: string, path: string, body?: unknown): Promise<string> {
  const response = await t.send(method, path, body === undefined ? {} : { body });
  const headers = JSON.stringify([...response.headers]);
  return `${response.status} ${headers} ${await response.text()}`;
}

Deno.test("no answer to an admin has a registry's password, errors included, nor has the database", () =>
  withApi(async (t) => {
    const answers: string[] = [];
    const ask = async (method: string, path: string, body?: unknown) =>
      void answers.push(await answer(t, method, path, body));
    await ask("PUT", "/v1/registries/ghcr.io%2Fshop", LOGIN);
    await ask("PUT", "/v1/registries/ghcr.io", { ...LOGIN, oops: CANARY });
    await ask("PUT", "/v1/registries/ghcr.io", { username: "", password: CANARY });
    await ask("PUT", "/v1/registries/ghcr.io", `{"password": "${CANARY}" oops`);
    await ask("PUT", "/v1/registries/what%20is%20that", LOGIN);
    await ask("POST", "/v1/services", { name: "web", template: { image: IMAGE } });
    for (const path of ["registries", "services", "services/web", "tasks", "events"]) {
      await ask("GET", `/v1/${path}`);
    }
    await ask("GET", "/metrics");
    assertEquals(
      answers.map((text) => text.slice(0, 3)).slice(0, 6).join(" "),
      "200 400 400 400 400 201",
    );
    assertEquals(answers.filter(shows), []);
    assertEquals(JSON.stringify(t.errors), "[]");
    const rows = JSON.stringify(
      [...await dump(t.kv)],
      (_key, value) => value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
    );
    assert(!shows(rows), "it is in the database");
  }));

Deno.test("credentials and digests are for the node of the task alone", () =>
  withApi(async (t) => {
    const [node, other, task] = [idOf(1), idOf(2), idOf(3)];
    const [own, strange] = [await seedNode(t.kv, node, "n1"), await seedNode(t.kv, other, "n2")];
    const client = t.client();
    okValue(await client.putRegistry("ghcr.io/shop", LOGIN));
    const web = okValue(await client.createService({ name: "web", template: { image: IMAGE } }));
    await seedTask(t.kv, { id: task, serviceId: web.id, nodeId: node });
    const { login } = okValue(await t.client(own).pullLogin(node, task));
    assertEquals(login, { ...LOGIN, registry: "ghcr.io/shop", host: "ghcr.io" });
    for (const token of [t.admin, t.join, strange]) {
      assertEquals(problemOf(await t.client(token).pullLogin(node, task)).status, 403);
      assertEquals(problemOf(await t.client(token).settleDigest(node, task, PIN)).status, 403);
    }
    assertEquals(problemOf(await t.client(strange).pullLogin(other, task)).status, 404);
    assertEquals(problemOf(await t.client(strange).settleDigest(other, task, PIN)).status, 404);
    assertEquals(okValue(await t.client(own).settleDigest(node, task, PIN)), PIN);
    assertEquals(okValue(await client.getService("web")).imagePin, PIN);
    okValue(await client.deleteRegistry("ghcr.io/shop"));
    assertEquals(okValue(await t.client(own).pullLogin(node, task)), {});
  }));

Deno.test("why tells the words of the newest report, though the scheduler was not woken for them", () =>
  withApi(async (t) => {
    const [node, task] = [idOf(1), idOf(3)];
    const own = await seedNode(t.kv, node, "n1");
    const client = t.client();
    const web = okValue(await client.createService({ name: "web", template: { image: IMAGE } }));
    await seedTask(t.kv, { id: task, serviceId: web.id, nodeId: node });
    const preparing = {
      ...{ taskId: task, attempt: 1, state: "preparing" as const },
      ...{ health: "none" as const, ports: [] },
    };
    const say = async (message: string) =>
      okValue(await t.client(own).report(node, { tasks: [{ ...preparing, message }] }));
    await say("pulling 1 of 120 MiB");
    await say("pulling 34 of 120 MiB");
    const { summary } = okValue(await client.why(task));
    assertEquals(summary, "preparing on n1: pulling 34 of 120 MiB");
  }));
