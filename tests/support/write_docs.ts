/**
 * Writes the pages that are made from the code: `deno task docs`.
 *
 * @module
 */
import { editorSchema, settings } from "../../cli/compose/map/extension.ts";
import { composePage } from "../../cli/compose/page.ts";

const docs = new URL("../../docs/", import.meta.url);
await Deno.writeTextFile(new URL("compose.md", docs), composePage(settings()));
await Deno.writeTextFile(
  new URL("x-berth.schema.json", docs),
  JSON.stringify(editorSchema(), null, 2) + "\n",
);
