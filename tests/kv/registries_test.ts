import { assert, assertEquals } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { listLogins, putLogin, readPullLogin, removeLogin } from "../../kv/registries.ts";
import { rekey } from "../../kv/rekey.ts";
import { parseImage, Registry } from "../../kv/schema/registry.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { createVault, KEY_BYTES } from "../../kv/vault.ts";
import { idOf } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedService, seedTask, specOf } from "../support/seed.ts";
import { TEST_VAULT } from "../support/vault.ts";

const IMAGES: Record<string, ReturnType<typeof parseImage>> = {
  "nginx": { registry: "docker.io", repository: "nginx", path: "library/nginx" },
  "nginx:1.27": { registry: "docker.io", repository: "nginx", path: "library/nginx", tag: "1.27" },
  "shop/app": { registry: "docker.io", repository: "shop/app", path: "shop/app" },
  "docker.io/nginx:1": {
    ...{ registry: "docker.io", repository: "docker.io/nginx", path: "library/nginx", tag: "1" },
  },
  "index.docker.io/shop/app": {
    ...{ registry: "docker.io", repository: "index.docker.io/shop/app", path: "shop/app" },
  },
  "ghcr.io/shop/app:2": {
    ...{ registry: "ghcr.io", repository: "ghcr.io/shop/app", path: "shop/app", tag: "2" },
  },
  "localhost/app": { registry: "localhost", repository: "localhost/app", path: "app" },
  "localhost:5000/app": {
    ...{ registry: "localhost:5000", repository: "localhost:5000/app", path: "app" },
  },
  "10.0.0.1:5000/a/b/c:x": {
    registry: "10.0.0.1:5000",
    repository: "10.0.0.1:5000/a/b/c",
    path: "a/b/c",
    tag: "x",
  },
  "nginx@sha256:ab": {
    ...{ registry: "docker.io", repository: "nginx", path: "library/nginx", digest: "sha256:ab" },
  },
  "ghcr.io/app:1@sha256:ab": {
    registry: "ghcr.io",
    repository: "ghcr.io/app",
    path: "app",
    tag: "1",
    digest: "sha256:ab",
  },
};

for (const [image, parts] of Object.entries(IMAGES)) {
  Deno.test(`an image's parts: ${image}`, () => assertEquals(parseImage(image), parts));
}

const [node, other, task, service] = [idOf(1), idOf(2), idOf(3), idOf(4)];

async function seed(kv: Kv, image: string): Promise<void> {
  await seedService(kv, service, specOf({ template: { image } }));
  await seedTask(kv, { id: task, serviceId: service, nodeId: node });
}

Deno.test("credentials go to the node of a task with an image of that registry, and nowhere else", () =>
  withKv(async (kv) => {
    const deps = { kv, vault: TEST_VAULT, clock: systemClock };
    await seed(kv, "ghcr.io/shop/app:1");
    assertEquals(assertOk(await readPullLogin(deps, node, task)), {});
    await putLogin(deps, "docker.io", { username: "bob", password: "other" });
    assertEquals(assertOk(await readPullLogin(deps, node, task)), {});
    await putLogin(deps, "ghcr.io", { username: "ann", password: "canary-1" });
    await putLogin(deps, "ghcr.io", { username: "ann", password: "canary-2" });
    const { login } = assertOk(await readPullLogin(deps, node, task));
    assertEquals(login, {
      ...{ registry: "ghcr.io", host: "ghcr.io", username: "ann", password: "canary-2" },
    });
    assertEquals(assertRefused(await readPullLogin(deps, other, task)).kind, "not-found");
    const names = (await listLogins(kv)).map(({ registry, username }) => `${registry} ${username}`);
    assertEquals(names, ["docker.io bob", "ghcr.io ann"]);
    const rows = JSON.stringify(
      [...await dump(kv)],
      (_key, value) => value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
    );
    assert(!rows.includes("canary-2"));
    assertOk(await removeLogin(kv, "ghcr.io"));
    assertEquals(assertOk(await readPullLogin(deps, node, task)), {});
    assertEquals(assertRefused(await removeLogin(kv, "ghcr.io")).kind, "not-found");
  }));

Deno.test("of several names the one that says most of an image counts", () =>
  withKv(async (kv) => {
    const deps = { kv, vault: TEST_VAULT, clock: systemClock };
    await seed(kv, "ghcr.io/shop/back/app:1");
    const steps = ["ghcr.io", "ghcr.io/sho", "ghcr.io/shop", "ghcr.io/shop/back/app"];
    const found: (string | undefined)[] = [];
    for (const name of steps) {
      await putLogin(deps, name, { username: "ann", password: name });
      const { login } = assertOk(await readPullLogin(deps, node, task));
      assertEquals(login?.host, "ghcr.io");
      found.push(login?.password);
    }
    assertEquals(found, ["ghcr.io", "ghcr.io", "ghcr.io/shop", "ghcr.io/shop/back/app"]);
  }));

Deno.test("credentials that were put under another registry's name do not open", () =>
  withKv(async (kv) => {
    const deps = { kv, vault: TEST_VAULT, clock: systemClock };
    await seed(kv, "ghcr.io/shop/app:1");
    await putLogin(deps, "docker.io", { username: "ann", password: "canary" });
    const stolen = (await getRow(kv, key.registry("docker.io"), Registry))?.row;
    assert(stolen);
    await kv.atomic().set(key.registry("ghcr.io"), stolen).commit();
    assertEquals(assertRefused(await readPullLogin(deps, node, task)).kind, "busy");
  }));

Deno.test("credentials are sealed anew with a new key, like secrets", () =>
  withKv(async (kv) => {
    const keyOf = (n: number) => new Uint8Array(KEY_BYTES).fill(n);
    const deps = { kv, vault: await createVault([keyOf(1)]), clock: systemClock };
    await seed(kv, "app:1");
    await putLogin(deps, "docker.io", { username: "ann", password: "p" });
    const both = await createVault([keyOf(2), keyOf(1)]);
    assertEquals(await rekey(kv, both, "test"), { ok: true, resealed: 1, unreadable: [] });
    const alone = { ...deps, vault: await createVault([keyOf(2)]) };
    assertEquals(assertOk(await readPullLogin(alone, node, task)).login?.password, "p");
  }));
