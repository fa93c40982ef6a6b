import { assert, assertEquals } from "@std/assert";
import { parseSpecs } from "../../cli/spec_file.ts";

const WEB = "name: web\ntemplate: {image: nginx}\n";

const READ: [string, string, string[]][] = [
  ["one service", WEB, ["default/web"]],
  ["a list", "- {name: a, template: {image: x}}\n- {name: b, template: {image: y}}\n", [
    "default/a",
    "default/b",
  ]],
  [
    "services with a list",
    "services:\n  - name: web\n    project: shop\n    template: {image: x}\n",
    [
      "shop/web",
    ],
  ],
  ["JSON", `{"services": [{"name": "web", "template": {"image": "nginx"}}]}`, ["default/web"]],
  ["several documents", `${WEB}---\nname: db\ntemplate: {image: pg}\n`, [
    "default/web",
    "default/db",
  ]],
];

for (const [what, text, names] of READ) {
  Deno.test(`a file may hold ${what}`, async () => {
    const read = await parseSpecs(text, "f.yaml");
    assert(read.ok, JSON.stringify(read));
    assertEquals(read.specs.map(({ project, name }) => `${project}/${name}`), names);
  });
}

const REFUSED: [string, string, string][] = [
  ["nothing", "", "f.yaml: there is no service in it"],
  ["an empty list", "services: []\n", "f.yaml: there is no service in it"],
  [
    "a value of the wrong type",
    "name: web\ntemplate:\n  image: nginx\n  tty: maybe\n",
    "f.yaml:4:8: template.tty: Invalid input: expected boolean, received string",
  ],
  [
    "a bad name in a list",
    "- name: Web\n  template: {image: x}\n",
    "f.yaml:1:9: name: must be a DNS label: 1 to 63 of a-z, 0-9 and -, not starting or ending with -",
  ],
  [
    "a missing field, at what lacks it",
    "services:\n  - name: web\n",
    "f.yaml:2:5: template: Invalid input: expected object, received undefined",
  ],
  [
    "a misspelt field",
    "name: web\nreplicaz: 3\ntemplate: {image: x}\n",
    "f.yaml:2:11: replicaz: there is no such field",
  ],
  [
    "a Compose file",
    "services:\n  web:\n    image: nginx\n",
    "f.yaml:2:3: this looks like a Compose file: apply it with berth up -f, or write the services " +
    "as a list, each with its name and its template",
  ],
  [
    "a service twice",
    `- ${JSON.stringify({ name: "web", template: { image: "x" } })}\n`.repeat(2),
    "",
  ],
  ["text that is no YAML", "a: [1\n", ""],
  ["a number", "12\n", "f.yaml:1:1: Invalid input: expected object, received number"],
];

for (const [what, text, message] of REFUSED) {
  Deno.test(`refused, with its place: ${what}`, async () => {
    const read = await parseSpecs(text, "f.yaml");
    assert(!read.ok);
    if (message !== "") return assertEquals(read.message, message);
    assert(/^f\.yaml:\d+:\d+: \S/.test(read.message), read.message);
  });
}
