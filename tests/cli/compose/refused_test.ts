import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { berth } from "../support.ts";
import { DIR, projectOf, serviceIn } from "./support.ts";

type Files = Record<string, string>;

const web = (lines: string) => `services:\n  web:\n    image: nginx\n    ${lines}\n`;
const bomb = [
  "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
  ...Array.from(
    { length: 12 },
    (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(", ")}]`,
  ),
].join("\n");
const large = `services: {web: {image: nginx, labels: {a: "${"a".repeat(10_000_000)}"}}}`;

/** What may stand in files, and the beginning of the one message. */
const CASES: [title: string, files: Files | string, message: string][] = [
  ["an alias bomb", bomb, "compose.yaml:"],
  [
    "an alias bomb in lists of <<",
    `x-a: &a {${"abcdefghijklmnopqrst".split("").map((key) => `${key}: 1`)}}\nx-b: {<<: [${
      "*a, ".repeat(15_000)
    }]}`,
    "compose.yaml:1:",
  ],
  ["10 MB", large, "compose.yaml:1:1: the file has 9.5 MiB"],
  [
    "10 MB that are included",
    { "compose.yaml": "include: [a.yaml]", "a.yaml": large },
    "a.yaml:1:1: the file has",
  ],
  ["nesting without end", `x-a: ${"[".repeat(50_000)}`, "compose.yaml:1:"],
  [
    "extensions in a circle",
    "services:\n  a: {extends: b}\n  b: {extends: {service: a}}",
    "compose.yaml:2:16: services extend one another in a circle",
  ],
  [
    "extensions in a circle of files",
    {
      "compose.yaml": "services: {a: {extends: {file: b/compose.yaml, service: a}}}",
      "b/compose.yaml": "services: {a: {extends: {file: ../compose.yaml, service: a}}}",
    },
    "compose.yaml:1:25: services extend one another in a circle",
  ],
  [
    "an extension of itself",
    "services:\n  a: {extends: a}",
    "compose.yaml:2:16: services extend one another in a circle",
  ],
  [
    "includes in a circle",
    { "compose.yaml": "include: [a.yaml]", "a.yaml": "include: [compose.yaml]" },
    "a.yaml:1:11: files include one another in a circle",
  ],
  [
    "an include of itself",
    "include:\n  - compose.yaml",
    "compose.yaml:2:5: files include one another in a circle",
  ],
  [
    "dependencies in a circle",
    "services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: {c: {condition: service_healthy}}}\n  c: {image: i, depends_on: [a]}",
    "compose.yaml:4:30: services depend on one another in a circle: a → b → c → a",
  ],
  ["an unknown key at the top", "servics: {}", "compose.yaml:1:1: servics: there is no such key"],
  [
    "an unknown key of a service",
    web("imgae: x"),
    "compose.yaml:4:5: services.web.imgae: there is no such key",
  ],
  [
    "an unknown key deep down",
    web("deploy: {resources: {limits: {cpu: 1}}}"),
    "compose.yaml:4:35: services.web.deploy.resources.limits.cpu: there is no such key",
  ],
  [
    "an unknown key of a build",
    web("build: {context: ., dockerfil: x}"),
    "compose.yaml:4:25: services.web.build.dockerfil: there is no such key",
  ],
  [
    "an unknown setting of Berth",
    web("x-berth: {stratgy: spread}"),
    "compose.yaml:4:15: services.web.x-berth.stratgy: there is no such setting",
  ],
  [
    "an unknown key in a file on top",
    { "compose.yaml": web(""), "compose.override.yaml": "services: {web: {prots: []}}" },
    "compose.override.yaml:1:18: services.web.prots: there is no such key",
  ],
  [
    "text for a list",
    web("cap_add: SYS"),
    "compose.yaml:4:14: services.web.cap_add: must be a list",
  ],
  ["a list for a map", web("deploy: []"), "compose.yaml:4:13: services.web.deploy: must be a map"],
  [
    "a map for a list",
    web("ports: {a: b}"),
    "compose.yaml:4:12: services.web.ports: must be a list",
  ],
  ["a list for services", "services: []", "compose.yaml:1:11: services: must be a map"],
  [
    "a number for a service",
    "services: {web: 5}",
    "compose.yaml:1:17: services.web: must be a map",
  ],
  [
    "text for a number",
    web("scale: many"),
    "compose.yaml:4:12: services.web.scale: must be a whole number",
  ],
  [
    "text for a flag",
    web("init: perhaps"),
    "compose.yaml:4:11: services.web.init: must be true or false",
  ],
  ["a negative number", web("scale: -1"), "compose.yaml:4:12: services.web.scale: "],
  [
    "a key twice in a service",
    web("image: b"),
    "compose.yaml:4:5: the key image stands here twice",
  ],
  [
    "a service twice",
    "services:\n  a: {image: i}\n  a: {image: j}",
    "compose.yaml:3:3: the key a stands here twice",
  ],
  [
    "a section twice",
    "services: {}\nservices: {}",
    "compose.yaml:2:1: the key services stands here twice",
  ],
  [
    "a variable twice",
    web('environment: {A: "1", A: "2"}'),
    "compose.yaml:4:27: the key A stands here twice",
  ],
  [
    "a port twice in a service",
    web('ports: ["80:80", "80:81"]'),
    "compose.yaml:4:22: services.web.ports: 80/tcp is published twice",
  ],
  [
    "a port twice in two services",
    "services:\n  a: {image: i, ports: ['80:80']}\n  b: {image: i, ports: [{target: 9, published: 80}]}",
    "compose.yaml:3:25: services.b.ports: 80/tcp is published twice, first by a in compose.yaml:2:25",
  ],
  [
    "a port twice, in a range",
    web('ports: ["8000-8003:80-83", "8002:90"]'),
    "compose.yaml:4:32: services.web.ports: 8002/tcp is published twice",
  ],
  [
    "a secret's file that is gone",
    `${web("secrets: [a]")}secrets:\n  a: {file: gone.txt}\n`,
    "compose.yaml:6:",
  ],
  ["an env file that is gone", web("env_file: gone.env"), "compose.yaml:4:15: cannot read"],
  [
    "two documents",
    "services: {}\n---\nservices: {}",
    "compose.yaml:2:1: a second document begins here",
  ],
  ["a tag that means nothing", web("user: !!python/object x"), "compose.yaml:4:"],
  ["no YAML", "services: {", "compose.yaml:1:"],
];

for (const [title, given, message] of CASES) {
  Deno.test(`${title}: one message with its place, exit code 2, and nothing is asked of the server`, async () => {
    const texts = typeof given === "string" ? { "compose.yaml": given } : given;
    const files = Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [`${DIR}/${name}`, text]),
    );
    const asked: string[] = [];
    const ran = await berth(["up"], {
      files,
      handler: (request) => {
        asked.push(request.url);
        return Response.json({ items: [] });
      },
    });
    const [first = "", ...next] = ran.err.replaceAll(`${DIR}/`, "").trimEnd().split("\n");
    assertEquals([ran.code, ran.out, asked], [2, "", []], ran.err);
    assertEquals(first.slice(0, "berth: ".length + message.length), `berth: ${message}`);
    assertMatch(first, /^berth: [\w./]+:\d+:\d+: ./);
    assertEquals(next.filter((line) => !line.startsWith("  → ")), []);
    assertStringIncludes(ran.err, "nothing was changed");
    if (first.length > 400) throw new Error(`a message of ${first.length} characters`);
  });
}

Deno.test("two services may have the same port of nodes of their own", async () => {
  const port = "ports: [{target: 80, published: 80, mode: host}]";
  const project = await projectOf({
    files: { "compose.yaml": `services: {a: {image: i, ${port}}, b: {image: i, ${port}}}` },
  });
  assertEquals([...project.services.keys()], ["a", "b"]);
});

Deno.test("files of one name in several directories extend one another", async () => {
  const project = await projectOf({
    files: {
      "compose.yaml": "services: {web: {extends: {file: b/compose.yaml, service: web}}}",
      "b/compose.yaml": "services: {web: {extends: {file: c/compose.yaml, service: web}}}",
      "b/c/compose.yaml": "services: {web: {image: base}}",
    },
  });
  assertEquals(serviceIn(project, "web").image, "base");
});

Deno.test("an error says which variables of its line are not set", async () => {
  const ran = await berth(["config"], {
    files: { [`${DIR}/compose.yaml`]: web("volumes: ['${DATA_DIR}:/data']") },
  });
  assertEquals(ran.code, 2);
  assertStringIncludes(ran.err, '":/data" is no volume');
  assertStringIncludes(ran.err, "  → not set here, and so empty: DATA_DIR; ");
});

const REFUSED = `services:
  web: {image: nginx, networks: [back]}
  gpu: {image: g, profiles: [gpu], models: [m]}
networks: {back: {internal: true, enable_ipv4: true}}
`;

Deno.test("what is refused may be taken out by a file on top, be turned off, or be in a profile that is off", async () => {
  const load = (override: string, profiles: string[] = []) =>
    projectOf({
      files: { "compose.yaml": REFUSED, "compose.override.yaml": override },
      options: { profiles },
    });
  await assertRejects(() => load("{}"), "compose.yaml:4:19: networks.back.internal is refused");
  for (const internal of ["!reset null", "!override false", "false"]) {
    const project = await load(`networks: {back: {internal: ${internal}}}`);
    assertEquals([...project.services.keys()], ["web"]);
  }
  await assertRejects(
    () => load("networks: {back: {internal: false}}", ["gpu"]),
    "compose.yaml:3:36: services.gpu.models is refused",
  );
});

async function assertRejects(run: () => Promise<unknown>, message: string): Promise<void> {
  try {
    await run();
  } catch (error) {
    assertStringIncludes(String(error).replaceAll(`${DIR}/`, ""), message);
    return;
  }
  throw new Error("nothing was refused");
}
