import { assertEquals } from "@std/assert";
import { TABLE } from "../../../cli/compose/keys/table.ts";

interface Schema {
  $ref?: string;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  definitions?: Record<string, Schema>;
}

/** Newer than the schema that is at hand as a package. */
const NEWER = [
  ...["image", "command", "user", "privileged", "working_dir", "environment", "per_replica"].map((
    key,
  ) => `services.*.pre_start[].${key}`),
  ...["services.*.pre_start", "services.*.build.provenance", "services.*.build.sbom"],
];

/** The Compose Specification's own JSON schema, as the linter dclint ships it. */
async function publishedKeys(): Promise<Set<string>> {
  const root = new URL(".", import.meta.resolve("dclint/package.json"));
  const schema: Schema = JSON.parse(
    await Deno.readTextFile(new URL("schemas/compose.schema.json", root)),
  );
  const found = new Set<string>();
  const walk = (node: Schema, path: string, seen: readonly string[]) => {
    if (node.$ref !== undefined) {
      const name = node.$ref.split("/").at(-1) ?? "";
      const target = schema.definitions?.[name];
      if (target && !seen.includes(name)) walk(target, path, [...seen, name]);
      return;
    }
    const { oneOf = [], anyOf = [], allOf = [] } = node;
    for (const one of [...oneOf, ...anyOf, ...allOf]) walk(one, path, seen);
    for (const [name, inner] of Object.entries(node.properties ?? {})) {
      const whole = path === "" ? name : `${path}.${name}`;
      found.add(whole);
      walk(inner, whole, seen);
    }
    for (const [name, inner] of Object.entries(node.patternProperties ?? {})) {
      if (name !== "^x-") walk(inner, `${path}.*`, seen);
    }
    if (typeof node.additionalProperties === "object") {
      walk(node.additionalProperties, `${path}.*`, seen);
    }
    if (node.items) walk(node.items, `${path}[]`, seen);
  };
  walk(schema, "", []);
  return found;
}

/** A decision about a key is one about what is in it, where the table does not go into it. */
function isDecided(path: string): boolean {
  for (let part = path; part !== ""; part = part.replace(/(\.|^)[^.]+$/, "")) {
    const row = TABLE.find((key) => key.path === part.replace(/\[\]$/, ""));
    if (row) return part === path || row.shape.kind === "any" || row.decision === "refused";
  }
  return false;
}

Deno.test("every key of the published schema is decided about", async () => {
  assertEquals([...await publishedKeys()].filter((path) => !isDecided(path)), []);
});

Deno.test("the table has no key that the specification does not have", async () => {
  const published = await publishedKeys();
  const own = TABLE.map(({ path }) => path)
    .filter((path) => !published.has(path) && !NEWER.includes(path));
  assertEquals(own, []);
});

Deno.test("what is emulated says how, and what is refused says why and what to do instead", () => {
  const silent = TABLE.filter(({ decision, note, instead }) =>
    decision === "emulated" && note === "" ||
    decision === "refused" && (note === "" || (instead ?? "") === "")
  );
  assertEquals(silent.map(({ path }) => path), []);
});
