import { assertEquals } from "@std/assert";
import { editorSchema, settings } from "../../../cli/compose/map/extension.ts";
import { composePage } from "../../../cli/compose/page.ts";

const DOCS = new URL("../../../docs/", import.meta.url);

Deno.test("docs/compose.md is what the code says: deno task docs writes it anew", async () => {
  const written = await Deno.readTextFile(new URL("compose.md", DOCS));
  assertEquals(written, composePage(settings()));
});

Deno.test("docs/x-berth.schema.json is what the code says", async () => {
  const written = await Deno.readTextFile(new URL("x-berth.schema.json", DOCS));
  assertEquals(JSON.parse(written), JSON.parse(JSON.stringify(editorSchema())));
});

Deno.test("every setting of x-berth says what it is for", () => {
  assertEquals(settings().filter(({ what }) => what === ""), []);
});

Deno.test("every reference of the editors' schema leads somewhere, and no object takes unknown settings", () => {
  const schema = JSON.parse(JSON.stringify(editorSchema()));
  const wrong: string[] = [];
  const walk = (node: unknown, path: string) => {
    if (typeof node !== "object" || node === null) return;
    const { $ref, properties, additionalProperties } = node as Record<string, unknown>;
    if (typeof $ref === "string") {
      const [, ...steps] = $ref.split("/");
      const target = steps.reduce<unknown>(
        (at, step) => (at as Record<string, unknown> | undefined)?.[step],
        schema,
      );
      if (!$ref.startsWith("#/") || target === undefined) wrong.push(`${path}: ${$ref}`);
    }
    if (path.startsWith("$defs") && properties && additionalProperties === undefined) {
      wrong.push(`${path}: takes anything`);
    }
    for (const [name, inner] of Object.entries(node)) walk(inner, `${path}.${name}`);
  };
  walk(schema.properties, "properties");
  walk(schema.$defs, "$defs");
  assertEquals(wrong, []);
});
