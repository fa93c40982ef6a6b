import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { parseYaml } from "../../../cli/compose/yaml.ts";
import { ComposeError } from "../../../cli/compose/tree.ts";
import { surroundings, wrongWith } from "./support.ts";
import { loadModel } from "../../../cli/compose/load.ts";
import { resolve } from "../../../cli/compose/resolve.ts";

const services = (text: string) => `services:\n  web:\n    image: nginx\n${text}`;

/** What is wrong, and where that is said to be. */
const CASES: [title: string, text: string, message: string][] = [
  [
    "an unknown key",
    services("    imagee: x"),
    "compose.yaml:4:5: services.web.imagee: there is no such key",
  ],
  ["an unknown key at the top", "servces: {}", "compose.yaml:1:1: servces: there is no such key"],
  [
    "a duplicate key",
    services("    image: b"),
    "compose.yaml:4:5: the key image stands here twice: it is in line 3 already",
  ],
  [
    "text for a list",
    services("    cap_add: SYS"),
    'compose.yaml:4:14: services.web.cap_add: must be a list, found "SYS"',
  ],
  [
    "a map for text",
    services("    hostname: {a: b}"),
    "compose.yaml:4:15: services.web.hostname: must be text, found a map",
  ],
  [
    "a number for text",
    services("    user: 5"),
    "compose.yaml:4:11: services.web.user: must be text, found 5",
  ],
  [
    "no size",
    services("    mem_limit: lots"),
    'compose.yaml:4:16: services.web.mem_limit: must be a size like 64m, found "lots"',
  ],
  [
    "no duration",
    services("    stop_grace_period: 5"),
    "compose.yaml:4:24: services.web.stop_grace_period: must be a duration like 1m30s, found 5",
  ],
  ["no port", services("    ports: ['80:http']"), 'compose.yaml:4:13: "80:http" is no port'],
  [
    "a port out of range",
    services("    ports: ['70000:80']"),
    "compose.yaml:4:13: 70000 is no port: ports are from 1 to 65535",
  ],
  [
    "a choice",
    services("    deploy: {mode: many}"),
    'compose.yaml:4:20: services.web.deploy.mode: must be replicated or global or replicated-job or global-job, found "many"',
  ],
  [
    "a refused key",
    services("    volumes_from: [a]"),
    "compose.yaml:4:5: services.web.volumes_from is refused: containers of a service may run on different machines",
  ],
  [
    "a service without image",
    "services:\n  web: {hostname: a}",
    "compose.yaml:2:3: services.web has neither image nor build",
  ],
  [
    "an empty image",
    services("").replace("nginx", "''"),
    "compose.yaml:3:12: services.web.image is empty",
  ],
  ["no services", "name: a", "compose.yaml:1:1: there are no services in it"],
  ["a list for a file", "- a", "compose.yaml:1:1: the file: must be a map, found a list"],
  [
    "broken YAML",
    "services: [",
    "compose.yaml:1:12: Flow sequence in block collection must be sufficiently indented and end with a ]",
  ],
  ["an alias of nothing", "services: *x", "compose.yaml:1:11: "],
  ["an anchor within itself", "services: &a {web: *a}", "compose.yaml:1:20: *a contains itself"],
  [
    "a required variable",
    services('    hostname: "${H:?say where}"'),
    "compose.yaml:4:15: the variable H is not set: say where",
  ],
  [
    "a variable without end",
    services('    hostname: "${H"'),
    "compose.yaml:4:15: ${H has no closing }",
  ],
  [
    "a dependency that is missing",
    services("    depends_on: [db]"),
    "compose.yaml:4:18: services.web.depends_on: there is no db",
  ],
  [
    "a volume that is not defined",
    services("    volumes: ['data:/d']"),
    "compose.yaml:4:15: services.web.volumes: there is no volume data in this file",
  ],
  [
    "a network that is not defined",
    services("    networks: [back]"),
    "compose.yaml:4:16: services.web.networks: there is no network back in this file",
  ],
  [
    "a circle of dependencies",
    "services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: [a]}",
    "compose.yaml:3:30: services depend on one another in a circle: a → b → a",
  ],
  [
    "a dependency on itself",
    services("    depends_on: [web]"),
    "compose.yaml:4:18: services depend on one another in a circle: web → web",
  ],
  [
    "a circle of extensions",
    "services:\n  a: {extends: b}\n  b: {extends: a}",
    "compose.yaml:2:16: services extend one another in a circle: compose.yaml#a → compose.yaml#b → compose.yaml#a",
  ],
  [
    "an extension of nothing",
    services("    extends: base"),
    "compose.yaml:4:14: there is no service base in compose.yaml to extend",
  ],
  [
    "an include from elsewhere",
    "include:\n  - oci://docker.io/a/b",
    "compose.yaml:2:5: oci://docker.io/a/b is on another machine: files are not fetched",
  ],
  [
    "an extension from elsewhere",
    services("    extends: {file: 'https://a.test/b.yaml', service: a}"),
    "compose.yaml:4:14: https://a.test/b.yaml is on another machine",
  ],
  [
    "a port twice",
    "services:\n  a: {image: i, ports: ['80:80']}\n  b: {image: i, ports: ['80:81']}",
    "compose.yaml:3:25: services.b.ports: 80/tcp is published twice, first by a in compose.yaml:2:25",
  ],
  [
    "two services of one host name",
    "services:\n  a_b: {image: i}\n  a-b: {image: i}",
    "compose.yaml:3:3: services.a-b and a_b would both be called a-b in the cluster",
  ],
  ["nesting without end", `a: ${"[".repeat(20_000)}`, "compose.yaml:1:"],
];

for (const [title, text, message] of CASES) {
  Deno.test(`${title} is one message with its place`, async () => {
    const said = await wrongWith(text);
    assertEquals(said.slice(0, message.length), message);
    assertEquals(said.split("\n").length, 1);
  });
}

Deno.test("an alias bomb is refused before it is written out", async () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 12; i++) {
    lines.push(`a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`).join(", ")}]`);
  }
  const said = await wrongWith(lines.join("\n"));
  assertStringIncludes(said, "values once aliases are written out");
});

Deno.test("a file of 10 MB is refused before it is parsed", async () => {
  const said = await wrongWith(`x-a: "${"a".repeat(10_000_000)}"`);
  assertEquals(said, "compose.yaml:1:1: the file has 9.5 MiB: at most 4 MiB are read");
});

Deno.test("files that include one another, or clash with what they include, are refused", async () => {
  const said = await wrongWith({
    files: { "compose.yaml": "include: [a.yaml]", "a.yaml": "include: [compose.yaml]" },
  });
  assertEquals(
    said,
    "a.yaml:1:11: files include one another in a circle: compose.yaml → a.yaml → compose.yaml",
  );
  const clash = await wrongWith({
    files: {
      "compose.yaml": "include: [a.yaml]\nservices: {web: {image: a}}",
      "a.yaml": "services: {web: {image: b}}",
    },
  });
  assertStringIncludes(
    clash,
    "compose.yaml:2:12: services.web is here, and differently in a.yaml:1:12",
  );
  const missing = await wrongWith({ files: { "compose.yaml": "include:\n  - gone.yaml" } });
  assertStringIncludes(missing, "compose.yaml:2:5: cannot read gone.yaml: there is no such file");
});

Deno.test("whatever a file holds, the answer is a project or one message with a place", async () => {
  const words = fc.constantFrom(
    ...[
      "services",
      "web",
      "image",
      "ports",
      "extends",
      "depends_on",
      "&a",
      "*a",
      "<<",
      "!reset",
      "x-a",
    ],
    ...[
      "{",
      "}",
      "[",
      "]",
      ":",
      "-",
      ",",
      "\n",
      "\n  ",
      "\n    ",
      " ",
      '"',
      "'",
      "$",
      "${",
      "}",
      "80:80",
    ],
    ...["null", "~", "true", "1e9", "#", "|", ">", "?", "%", "@", "\t", "\u0000", "é"],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 40 }), async (parts) => {
      const around = surroundings({ files: { "compose.yaml": parts.join("") } });
      const none = {
        files: [],
        project: undefined,
        projectDir: undefined,
        envFiles: [],
        profiles: [],
      };
      try {
        await resolve(await loadModel(none, around), { services: [] }, around);
      } catch (error) {
        if (!(error instanceof ComposeError)) throw error;
      }
    }),
    { numRuns: 1000, seed: 7 },
  );
});

Deno.test("any text is a tree or one message", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: "binary" }), (text) => {
      try {
        parseYaml(text, "any.yaml");
      } catch (error) {
        if (!(error instanceof ComposeError)) throw error;
      }
    }),
    { numRuns: 1000, seed: 7 },
  );
});
