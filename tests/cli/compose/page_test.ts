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
