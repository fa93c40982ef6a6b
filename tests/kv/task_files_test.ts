import { assertEquals } from "@std/assert";
import type { z } from "zod";
import { TaskTemplate } from "../../kv/schema/service.ts";

type Template = Omit<z.input<typeof TaskTemplate>, "image">;

const CASES: [what: string, template: Template, wrong: string[]][] = [
  ["a secret under its own name", { secrets: [{ source: "a" }] }, []],
  [
    "two files at one path",
    {
      secrets: [{ source: "a", target: "/etc/x" }],
      configs: [{ source: "b", target: "etc/x" }, { source: "c" }],
    },
    ["configs.0.target"],
  ],
  [
    "one secret twice, relative and absolute",
    { secrets: [{ source: "a" }, { source: "b", target: "/run/secrets/a" }] },
    ["secrets.1.target"],
  ],
  [
    "a mount over the secrets",
    {
      secrets: [{ source: "a" }],
      mounts: [{ type: "tmpfs", target: "/run/secrets/" }],
    },
    ["mounts.0.target"],
  ],
  ["the same without secrets", { mounts: [{ type: "tmpfs", target: "/run/secrets" }] }, []],
  [
    "two mounts at one place",
    {
      mounts: [
        { type: "volume", source: "a", target: "/data" },
        { type: "bind", source: "/srv", target: "/data/" },
      ],
    },
    ["mounts.1.target"],
  ],
  [
    "paths that leave their directory",
    { secrets: [{ source: "a", target: "../x" }], configs: [{ source: "a", target: "/a//b" }] },
    ["secrets.0.target", "configs.0.target"],
  ],
  [
    "a root that cannot be written",
    {
      container: { readOnly: true },
      secrets: [{ source: "a" }, { source: "b", target: "/etc/b" }],
      configs: [{ source: "c" }],
    },
    ["secrets.1.target", "configs.0.target"],
  ],
  [
    "a volume without a name that nobody could write",
    { mounts: [{ type: "volume", target: "/a", readOnly: true }] },
    ["mounts.0.readOnly"],
  ],
  [
    "names and modes that are none",
    { secrets: [{ source: "-a" }, { source: "b", mode: 0o1000 }, { source: "c", uid: -1 }] },
    ["secrets.0.source", "secrets.1.mode", "secrets.2.uid"],
  ],
];

for (const [what, template, wrong] of CASES) {
  Deno.test(`files and mounts: ${what} ${wrong.length > 0 ? "is refused" : "is fine"}`, () => {
    const parsed = TaskTemplate.safeParse({ image: "app", ...template });
    assertEquals(parsed.error?.issues.map(({ path }) => path.join(".")) ?? [], wrong);
  });
}
