import { assert, assertEquals, assertExists } from "@std/assert";
import { createClient } from "../../api/client.ts";
import { withApi } from "../support/api.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required?: boolean; schema?: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description?: string; content?: Record<string, unknown> }>;
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
}

async function withDocument(run: (document: Document) => void): Promise<void> {
  await withApi(async (t) => {
    const response = await t.send("GET", "/openapi.json", { token: null });
    run(await response.json());
  }, { deps: { playground: true } });
}

function operations(document: Document) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  );
}

Deno.test("the document is OpenAPI 3.1 and every reference in it leads somewhere", () =>
  withDocument((document) => {
    assertEquals(document.openapi, "3.1.0");
    const refs = new Set<string>();
    JSON.stringify(document, (name, value) => {
      if (name === "$ref") refs.add(value);
      return value;
    });
    assert(refs.size > 10);
    for (const ref of refs) {
      const target = ref.replace(/^#\//, "").split("/")
        .reduce((at: unknown, part) => (at as Record<string, unknown>)?.[part], document);
      assertExists(target, ref);
    }
  }));

Deno.test("every operation says what it is for, who may call it, and how it fails", () =>
  withDocument((document) => {
    const ids = new Set<string>();
    for (const { path, method, operation } of operations(document)) {
      const what = `${method} ${path}`;
      assert(operation.summary && operation.description && operation.tags?.length === 1, what);
      assert(operation.operationId && !ids.has(operation.operationId), what);
      ids.add(operation.operationId);
      assertExists(operation.security, what);
      const has = (status: number) => `${status}` in operation.responses;
      if (operation.security.length > 0) assert(has(401) && has(403) && has(503), what);
      if (operation.parameters?.length || operation.requestBody) assert(has(400), what);
      if (operation.requestBody) assert(has(413) && has(415), what);
      if (/\{ref\}/.test(path) && !has(101)) assert(has(404), what);
      const headers = operation.parameters?.filter((p) => p.in === "header").map((p) => p.name);
      if (headers?.includes("if-match")) assert(has(412), what);
      if (headers?.includes("idempotency-key")) assert(has(422), what);
      for (const [status, response] of Object.entries(operation.responses)) {
        assertExists(response.description, `${what} ${status}`);
        if (Number(status) < 400 || (path === "/readyz")) continue;
        assertEquals(Object.keys(response.content ?? {}), ["application/problem+json"], what);
      }
    }
  }));

Deno.test("every path parameter of a template is declared, and no other", () =>
  withDocument((document) => {
    for (const { path, method, operation } of operations(document)) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      const declared = (operation.parameters ?? []).filter((p) => p.in === "path");
      assertEquals(declared.map((p) => p.name).sort(), wanted, `${method} ${path}`);
      assert(declared.every((p) => p.required));
    }
  }));

Deno.test("every call of the typed client is in the document", async () => {
  const asked: string[] = [];
  const note = (method: string, url: string | URL) =>
    asked.push(`${method.toLowerCase()} ${new URL(url).pathname.replaceAll("/anything", "/{}")}`);
  const client = createClient({
    url: "http://berth.test",
    fetch: ({ method, url }) => {
      note(method, url);
      return Promise.resolve(new Response(null, { status: 503 }));
    },
  });
  const real = globalThis.WebSocket;
  Object.assign(globalThis, {
    WebSocket: class extends EventTarget {
      constructor(url: URL) {
        super();
        note("get", url);
      }
    },
  });
  try {
    for (const [name, call] of Object.entries(client)) {
      if (typeof call !== "function") continue;
      const before = asked.length;
      // Each path is made of no more than two names.
      const answer: unknown = Reflect.apply(call, client, ["anything", "anything"]);
      if (name === "followEvents") await (answer as AsyncGenerator).next();
      else await answer;
      assertEquals(asked.length, before + 1, `${name} asks once`);
    }
  } finally {
    globalThis.WebSocket = real;
  }
  await withDocument((document) => {
    const known = operations(document)
      .map(({ path, method }) => `${method} ${path.replaceAll(/\{\w+\}/g, "{}")}`);
    assertEquals(asked.filter((wanted) => !known.includes(wanted)), []);
  });
});
