import { assertEquals, assertStringIncludes } from "@std/assert";
import { berth } from "../support.ts";
import { DIR } from "./support.ts";

const FILE = `
services:
  web:
    image: nginx
    volumes: ["data:/data", "own:/own"]
    secrets: [token]
    configs: [site]
volumes:
  data: {external: true, name: prod-data}
  own: {}
  unused: {external: true}
secrets:
  token: {external: true}
configs:
  site: {external: {name: prod-site}}
`;

/** Runs `up` in a cluster that has these names; answers what was asked for in vain, and the methods used. */
async function upWith(names: string[]) {
  const methods = new Set<string>();
  const ran = await berth(["up"], {
    files: { [`${DIR}/compose.yaml`]: FILE },
    handler: (request) => {
      methods.add(request.method);
      const { pathname } = new URL(request.url);
      if (!/volumes|secrets|configs/.test(pathname)) return Response.json({ items: [] });
      const id = "01jd6z0c9m8k4v2q7x5w3t1r0a";
      const at = "2026-01-31T12:00:00.000Z";
      const kind = pathname.endsWith("secrets") ? "secret" : "config";
      const items = names.map((name) => ({
        ...{ id, kind, project: "shop", name, labels: {}, version: 1, usedBy: [], nodes: [] },
        ...{ createdAt: at, updatedAt: at, engineName: name, shared: false },
      }));
      return Response.json({ items });
    },
  });
  return { ...ran, err: ran.err.replaceAll(`${DIR}/`, ""), methods: [...methods] };
}

Deno.test("what is external must be there before anything is changed", async () => {
  for (
    const [names, message] of [
      [[], "9:3: volumes.data is external, and project shop has no volume prod-data"],
      [["prod-data"], "13:3: secrets.token is external, and project shop has no secret token"],
      [
        ["prod-data", "token"],
        "15:3: configs.site is external, and project shop has no config prod-site",
      ],
    ] as const
  ) {
    const ran = await upWith([...names]);
    assertEquals([ran.code, ran.methods], [3, ["GET"]], ran.err);
    assertStringIncludes(ran.err, `berth: compose.yaml:${message}\n`);
  }
});

Deno.test("with all of it there, up goes on", async () => {
  const ran = await upWith(["prod-data", "token", "prod-site"]);
  assertEquals(ran.methods, ["GET", "PUT"], ran.err);
});
