import { assertEquals, assertStringIncludes } from "@std/assert";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { berth, type Handler, ID, NOW } from "./support.ts";

function view(more: Record<string, unknown> = {}) {
  return {
    ...{ id: ID.service, kind: "secret", project: "default", name: "pw", labels: {}, version: 1 },
    ...{ createdAt: NOW, updatedAt: "2026-01-31T11:00:00.000Z", usedBy: ["web"], ...more },
  };
}

/** Answers every request with the view, and keeps what was sent. */
function server(): { sent: { call: string; body: unknown }[]; handler: Handler } {
  const sent: { call: string; body: unknown }[] = [];
  return {
    sent,
    async handler(request) {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      sent.push({ call: `${request.method} ${pathname}${search}`, body: text && JSON.parse(text) });
      if (request.method === "DELETE") return new Response(null, { status: 204 });
      if (pathname.endsWith("/value")) return Response.json({ version: 1, data: btoa("a=1\n") });
      return Response.json(
        /s$/.test(pathname) && request.method === "GET" ? { items: [view()] } : view(),
      );
    },
  };
}

const data = encodeBase64(new TextEncoder().encode("hunter2"));

Deno.test("secret create sends the bytes of a file, or of standard input", async () => {
  for (const args of [["pw", "file"], ["pw", "-"], ["pw"]]) {
    const { sent, handler } = server();
    const setting = { handler, files: { file: "hunter2" }, input: "hunter2" };
    const { code, out } = await berth(["secret", "create", ...args], setting);
    assertEquals([code, out], [0, "pw\n"]);
    assertEquals(sent, [{ call: "POST /v1/secrets", body: { name: "pw", labels: {}, data } }]);
  }
});

Deno.test("config rotate sends the value to the project that the name says", async () => {
  const { sent, handler } = server();
  const { code } = await berth(["config", "rotate", "shop/app"], { handler, input: "hunter2" });
  assertEquals(code, 0);
  assertEquals(sent, [{ call: "PUT /v1/configs/app?project=shop", body: { data } }]);
});

Deno.test("a file that is missing or too large is a usage error, and nothing is sent", async () => {
  for (const files of [{}, { big: "x".repeat(500 * 1024 + 1) }]) {
    const { sent, handler } = server();
    const { code, err } = await berth(["secret", "create", "pw", "big"], { handler, files });
    assertEquals([code, sent], [2, []]);
    assertStringIncludes(err, "cannot read big: ");
  }
});

Deno.test("secret ls shows who uses each and when it changed; inspect has no value; rm goes by name", async () => {
  const { sent, handler } = server();
  const listed = await berth(["secret", "ls"], { handler });
  const cells = listed.out.split("\n").map((line) => line.trim().split(/ {2,}/));
  assertEquals(cells.slice(0, 2), [
    ["NAME", "VERSION", "USED BY", "CHANGED"],
    ["pw", "1", "web", "1h"],
  ]);
  const inspected = await berth(["secret", "inspect", "pw"], { handler });
  assertEquals(JSON.parse(inspected.out), view());
  const removed = await berth(["secret", "rm", "pw", "shop/pw"], { handler });
  assertEquals(removed.out, "pw\nshop/pw\n");
  assertEquals(sent.slice(-2).map(({ call }) => call), [
    "DELETE /v1/secrets/pw",
    "DELETE /v1/secrets/pw?project=shop",
  ]);
});

Deno.test("config inspect --value prints the value as it is", async () => {
  const { handler } = server();
  const { out } = await berth(["config", "inspect", "--value", "app"], { handler });
  assertEquals(out, "a=1\n");
});

Deno.test("run --secret and --config name files, with a place or without", async () => {
  const { sent, handler } = server();
  const files = ["--secret", "pw", "--secret", "tls:/etc/key.pem", "--config", "app:etc/app"];
  await berth(["run", "-d", "--name", "web", ...files, "nginx"], { handler });
  const { template } = sent[0]?.body as { template: Record<string, unknown> };
  assertEquals(template.secrets, [
    { source: "pw" },
    { source: "tls", target: "/etc/key.pem" },
  ]);
  assertEquals(template.configs, [{ source: "app", target: "etc/app" }]);
  const wrong = await berth(["run", "-d", "--secret", "p w", "nginx"], { handler });
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.err, "--secret: must be 1 to 64");
});
