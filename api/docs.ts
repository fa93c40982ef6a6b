/**
 * The documentation page: Swagger UI from its npm package. Nothing is loaded from outside, and the
 * assets only when somebody looks.
 *
 * @module
 */
import type { Context } from "hono";
import type { ApiEnv } from "./deps.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Berth API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/init.js"></script>
</body>
</html>
`;

const INIT = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
});
`;

/** Swagger UI sets styles from its script and draws icons from data URLs; the rest is ours. */
const POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
  "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Asset = { type: string; text: () => Promise<string> | string };

const ASSETS: Record<string, Asset> = {
  "init.js": { type: "text/javascript", text: () => INIT },
  "swagger-ui-bundle.js": {
    type: "text/javascript",
    text: async () =>
      (await import("swagger-ui-dist/swagger-ui-bundle.js", { with: { type: "text" } })).default,
  },
  "swagger-ui.css": {
    type: "text/css",
    text: async () =>
      (await import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } })).default,
  },
};

export function docsPage(c: Context<ApiEnv>): Response {
  return asset(c, PAGE, "text/html");
}

/** One of the page's own files; `undefined` when it has no such file. */
export async function docsAsset(c: Context<ApiEnv>, name: string): Promise<Response | undefined> {
  const found = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
  return found && asset(c, await found.text(), found.type);
}

function asset(c: Context<ApiEnv>, text: string, type: string): Response {
  return c.body(text, 200, {
    "content-type": `${type}; charset=utf-8`,
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "cache-control": type === "text/html" ? "no-cache" : "max-age=3600",
  });
}
