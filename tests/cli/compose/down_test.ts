import { assertEquals, assertStringIncludes } from "@std/assert";
import { berth, ID, NOW, type Setting } from "../support.ts";
import { DIR } from "./support.ts";

const FILE = "services: {web: {image: nginx, volumes: ['data:/d']}}\nvolumes: {data: {}}";

/** Volumes `data`, of the file, and `other` are there; what else is asked is noted. */
async function down(args: string[], setting: Setting = {}) {
  const writes: string[] = [];
  const volume = (name: string) => ({
    ...{ id: ID.service, project: "shop", name, createdAt: NOW, engineName: name, shared: false },
    ...{ nodes: [], usedBy: [] },
  });
  const ran = await berth(["down", ...args], {
    ...setting,
    files: { [`${DIR}/compose.yaml`]: FILE },
    handler(request) {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET") writes.push(`${request.method} ${pathname}`);
      const items = pathname === "/v1/volumes" ? [volume("data"), volume("other")] : [];
      return Response.json({ items });
    },
  });
  return { ...ran, writes };
}

Deno.test("down -v asks at a terminal, and a no changes nothing", async () => {
  const ran = await down(["-v"], { typed: true, columns: 80 });
  assertEquals([ran.code, ran.writes], [1, []]);
  assertStringIncludes(ran.err, "nothing was changed");
});

Deno.test("without a terminal down -v wants --yes, and says which volumes would go", async () => {
  const ran = await down(["-v"]);
  assertEquals([ran.code, ran.writes], [2, []]);
  assertStringIncludes(ran.err, "-v would remove volume data of shop");
  assertStringIncludes(ran.err, "berth down -v --yes");
});

Deno.test("down without -v asks nothing", async () => {
  const ran = await down([]);
  assertEquals(ran.writes.some((call) => call.includes("/lock")), true, ran.err);
});
