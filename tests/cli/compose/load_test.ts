import { assertEquals, assertStringIncludes } from "@std/assert";
import { berth } from "../support.ts";
import { DIR, plainAt, projectIn, projectOf, serviceIn } from "./support.ts";

Deno.test("what a service links is in place before it, as in Compose", async () => {
  const project = await projectIn(
    "services: {web: {image: w, links: ['db:data', cache]}, db: {image: d}, cache: {image: c}}",
  );
  assertEquals(project.waves, [["db", "cache"], ["web"]]);
});

Deno.test("without -f the file of the directory or one above it is found, with its override", async () => {
  const found = await projectOf({
    cwd: `${DIR}/src/deep`,
    files: {
      "compose.yaml": "services: {web: {image: nginx, environment: {A: base, B: base}}}",
      "compose.override.yaml": "services: {web: {environment: {A: over}}}",
    },
  });
  assertEquals(found.dir, DIR);
  assertEquals(serviceIn(found, "web").environment, { A: "over", B: "base" });
});

Deno.test("files merge: maps by key, lists appended, ports and volumes by their target", async () => {
  const found = await projectOf({
    options: { files: ["a.yaml", "b.yaml"] },
    files: {
      "a.yaml": `
services:
  web:
    image: nginx:1
    command: run --slow
    environment: [A=1, B=2]
    ports: ["8080:80", "9000:90"]
    volumes: ["data:/data", "./a:/conf"]
    cap_add: [NET_ADMIN]
    healthcheck: {test: "old", retries: 2}
    logging: {driver: json-file, options: {max-size: 1m}}
    labels: {tier: front}
    depends_on: [db]
  db: {image: postgres}
volumes: {data: {}}
`,
      "b.yaml": `
services:
  web:
    image: nginx:2
    command: [run, --fast]
    environment: {B: "3"}
    ports: [{target: 80, published: 8080, protocol: tcp}, "9001:91"]
    volumes: ["./b:/conf:ro"]
    cap_add: [NET_ADMIN, SYS_TIME]
    healthcheck: {test: [CMD, new]}
    logging: {driver: local}
    labels: [tier=back, new=1]
    depends_on: {db: {condition: service_healthy}}
`,
    },
  });
  const web = serviceIn(found, "web");
  assertEquals(web.image, "nginx:2");
  assertEquals(web.command, ["run", "--fast"]);
  assertEquals(web.environment, { A: "1", B: "3" });
  const ports = web.ports as { target: number; published: string | number }[];
  assertEquals(ports.map((p) => `${p.published}:${p.target}`), ["8080:80", "9000:90", "9001:91"]);
  const volumes = web.volumes as { source: string; target: string; read_only?: boolean }[];
  assertEquals(volumes.map((v) => [v.source, v.target, v.read_only]), [
    ["data", "/data", undefined],
    [`${DIR}/b`, "/conf", true],
  ]);
  assertEquals(web.cap_add, ["NET_ADMIN", "SYS_TIME"]);
  assertEquals(web.healthcheck, { test: ["CMD", "new"], retries: 2 });
  assertEquals(web.logging, { driver: "local" });
  assertEquals(web.labels, { tier: "back", new: "1" });
  assertEquals(web.depends_on, { db: { condition: "service_healthy", required: true } });
});

Deno.test("!reset takes a value out and !override replaces it whole", async () => {
  const found = await projectOf({
    options: { files: ["a.yaml", "b.yaml"] },
    files: {
      "a.yaml":
        "services: {web: {image: i, ports: ['80:80'], environment: {A: '1', B: '2'}, user: me}}",
      "b.yaml": `
services:
  web:
    ports: !override ["81:81"]
    environment:
      A: !reset null
    user: !reset ""
`,
    },
  });
  const web = serviceIn(found, "web");
  assertEquals((web.ports as unknown[]).length, 1);
  assertEquals(web.environment, { B: "2" });
  assertEquals("user" in web, false);
});

Deno.test("anchors, merge keys and extension fields work anywhere, and own keys win", async () => {
  const found = await projectIn(`
x-common: &common
  restart: always
  environment: &env {LEVEL: info, ZONE: a}
services:
  web:
    <<: *common
    image: nginx
    environment:
      <<: *env
      LEVEL: debug
    x-note: {anything: [1, 2]}
  worker:
    <<: [{image: worker}, *common]
`);
  assertEquals(serviceIn(found, "web").environment, { ZONE: "a", LEVEL: "debug" });
  assertEquals(serviceIn(found, "worker").image, "worker");
  assertEquals(serviceIn(found, "worker").restart, "always");
});

Deno.test("variables come from the environment, then .env, and --env-file replaces .env", async () => {
  const files = {
    "compose.yaml": 'services: {web: {image: "nginx:${TAG}", hostname: "${HOST:-none}"}}',
    ".env": "TAG=from-dotenv\nHOST=dotenv",
    "prod.env": "TAG=from-file",
  };
  const web = async (env: Record<string, string>, envFiles: string[] = []) =>
    serviceIn(await projectOf({ files, env, options: { envFiles } }), "web");
  assertEquals((await web({})).image, "nginx:from-dotenv");
  assertEquals((await web({ TAG: "from-env" })).image, "nginx:from-env");
  const given = await web({}, ["prod.env"]);
  assertEquals([given.image, given.hostname], ["nginx:from-file", "none"]);
});

Deno.test("a variable that is set nowhere becomes empty, and is told of once", async () => {
  const found = await projectIn('services: {web: {image: "a$NOPE", hostname: "b${NOPE}"}}');
  assertEquals(serviceIn(found, "web").image, "a");
  assertEquals(found.warnings.length, 1);
  assertStringIncludes(found.warnings[0] ?? "", "compose.yaml:1:25: the variable NOPE is not set");
});

Deno.test("env files come first, then environment; a name alone is taken from around", async () => {
  const found = await projectOf({
    env: { HOME_TOWN: "Kiel" },
    files: {
      "compose.yaml": `
services:
  web:
    image: nginx
    env_file: [base.env, {path: more.env, required: false}, {path: raw.env, format: raw}]
    environment: [HOME_TOWN, GONE, B=mine]
`,
      "base.env": "A=1\nB=2\nC=\"x y\"\nD='$A'\nE=${A}1\n",
      "raw.env": 'R="$A"\n',
    },
  });
  assertEquals(serviceIn(found, "web").environment, {
    ...{ A: "1", B: "mine", C: "x y", D: "$A", E: "11", R: '"$A"', HOME_TOWN: "Kiel" },
  });
});

Deno.test("extends takes a service of this or another file, whose paths stay its own", async () => {
  const found = await projectOf({
    files: {
      "compose.yaml": `
services:
  web:
    extends: {file: lib/base.yaml, service: app}
    environment: {B: mine}
  worker:
    extends: web
    image: worker
`,
      "lib/base.yaml": `
services:
  app:
    extends: root
    environment: {A: lib, B: lib}
    volumes: ["./conf:/conf"]
  root: {image: base, init: true}
`,
    },
  });
  const web = serviceIn(found, "web");
  assertEquals([web.image, web.init], ["base", true]);
  assertEquals(web.environment, { A: "lib", B: "mine" });
  assertEquals((web.volumes as { source: string }[])[0]?.source, `${DIR}/lib/conf`);
  const worker = serviceIn(found, "worker");
  assertEquals([worker.image, worker.environment], ["worker", { A: "lib", B: "mine" }]);
});

Deno.test("include brings in a project of its own, with its own directory and variables", async () => {
  const found = await projectOf({
    files: {
      "compose.yaml": "include: [db/compose.yaml]\nservices: {web: {image: web, depends_on: [db]}}",
      "over.yaml": "services: {db: {hostname: over}}",
      "db/compose.yaml": `
services:
  db: {image: "postgres:\${PG}", env_file: db.env, volumes: ["data:/var/lib"]}
volumes: {data: {}}
`,
      "db/.env": "PG=17",
      "db/db.env": "LEVEL=low",
    },
    options: { files: ["compose.yaml", "over.yaml"] },
  });
  const db = serviceIn(found, "db");
  assertEquals([db.image, db.hostname], ["postgres:17", "over"]);
  assertEquals(db.environment, { LEVEL: "low" });
  assertEquals(plainAt(found, "volumes"), { data: {} });
});

Deno.test("services with profiles are left out until one is on, or they are named", async () => {
  const text = `
services:
  web: {image: web}
  debug: {image: debug, profiles: [dev], depends_on: [tools]}
  tools: {image: tools, profiles: [dev, ci]}
`;
  const names = async (
    profiles: string[],
    services: string[] = [],
  ) => [...(await projectIn(text, { options: { profiles }, services })).services.keys()];
  assertEquals(await names([]), ["web"]);
  assertEquals(await names(["ci"]), ["web", "tools"]);
  assertEquals(await names(["*"]), ["web", "debug", "tools"]);
  assertEquals(await names([], ["tools"]), ["tools"]);
  assertEquals(await names(["dev"], ["debug"]), ["debug", "tools"]);
});

Deno.test("the project is called after -p, the environment, the file, or the directory", async () => {
  const name = async (more: object, top = "") =>
    (await projectIn(`${top}\nservices: {web: {image: "$COMPOSE_PROJECT_NAME"}}`, more)).name;
  assertEquals(await name({}), "shop");
  assertEquals(await name({}, "name: My_Store"), "my-store");
  assertEquals(await name({ env: { COMPOSE_PROJECT_NAME: "env" } }, "name: file"), "env");
  assertEquals(await name({ options: { project: "flag" } }, "name: file"), "flag");
});

Deno.test("services start in waves: each after what it depends on", async () => {
  const found = await projectIn(`
services:
  web: {image: i, depends_on: [api, cache]}
  api: {image: i, depends_on: [db]}
  db: {image: i}
  cache: {image: i}
`);
  assertEquals(found.waves, [["db", "cache"], ["api"], ["web"]]);
});

Deno.test("where no file is named, .env may name the files, the profiles and the project", async () => {
  const files = {
    ".env": "COMPOSE_FILE=a.yaml;b.yaml\nCOMPOSE_PATH_SEPARATOR=;\nCOMPOSE_PROFILES=extra\n",
    "more.env": "TAG=9\nCOMPOSE_FILE=a.yaml\n",
    "a.yaml": "services: {web: {image: 'w:${TAG:-1}'}}",
    "b.yaml": "services: {web: {user: me}, tool: {image: t, profiles: [extra]}}",
    "compose.yaml": "services: {other: {image: o}}",
  };
  const project = await projectOf({ files });
  assertEquals([...project.services.keys()], ["web", "tool"]);
  assertEquals(serviceIn(project, "web"), { image: "w:1", user: "me" });
  const named = await projectOf({ files, options: { files: ["compose.yaml"] } });
  assertEquals([...named.services.keys()], ["other"]);
  const elsewhere = await projectOf({ files, env: { COMPOSE_ENV_FILES: "more.env" } });
  assertEquals(serviceIn(elsewhere, "web"), { image: "w:9" });
});

Deno.test("what config prints is a file that is understood the same", async () => {
  const text = [
    "name: shop",
    "services:",
    "  web:",
    "    image: nginx",
    '    command: [sh, -c, "echo $$HOME $(date)"]',
    '    environment: {A: "$$5", B: 1.10, D: null}',
    '    healthcheck: {test: "test $$A"}',
    "    ports: ['127.0.0.1:80:80', '9000-9001:90-91/udp']",
    "    volumes: ['data:/d:ro', './a:/a:z', /scratch]",
    "    depends_on: [db]",
    "  db: {image: d, build: ., deploy: {replicas: 2}}",
    "volumes: {data: {}}",
  ].join("\n");
  const config = async (file: string) =>
    (await berth(["config"], { files: { [`${DIR}/compose.yaml`]: file } })).out;
  const first = await config(text);
  assertStringIncludes(first, "echo $$HOME $$(date)");
  assertEquals(await config(first), first);
});
