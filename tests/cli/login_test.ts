import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { berth, type Handler, NOW } from "./support.ts";

/** Takes everything, and keeps what was sent. */
function server(): { sent: { call: string; body: unknown }[]; handler: Handler } {
  const sent: { call: string; body: unknown }[] = [];
  return {
    sent,
    async handler(request) {
      const { pathname } = new URL(request.url);
      const text = await request.text();
      const call = `${request.method} ${decodeURIComponent(pathname)}`;
      sent.push({ call, body: text && JSON.parse(text) });
      if (request.method === "DELETE") return new Response(null, { status: 204 });
      const view = { registry: "ghcr.io", username: "ann", updatedAt: NOW };
      return Response.json(request.method === "GET" ? { items: [view] } : view);
    },
  };
}

const CANARY = "canary-pw";
const SENT = [{
  call: "PUT /v1/registries/ghcr.io",
  body: { username: "ann", password: CANARY },
}];

Deno.test("login reads the password from standard input, and shows it nowhere", async () => {
  for (const more of [[], ["--password-stdin"]]) {
    const { sent, handler } = server();
    const args = ["login", "ghcr.io", "-u", "ann", ...more];
    const { code, out, err } = await berth(args, { handler, input: `${CANARY}\n` });
    assertEquals([code, out, err], [0, "ghcr.io\n", ""]);
    assertEquals(sent, SENT);
  }
});

Deno.test("at a terminal login asks for the password, and shows it nowhere", async () => {
  const { sent, handler } = server();
  const typed = { handler, typed: true, input: `wrong\x15canaryé\x7f-pwx\x08\rmore` };
  const { code, out, err } = await berth(["login", "ghcr.io", "-u", "ann"], typed);
  assertEquals([code, out, err], [0, "ghcr.io\n", "Password of ann for ghcr.io: \n"]);
  assertEquals(sent, SENT);
  const gaveUp = server();
  const left = await berth(["login", "-u", "ann"], {
    ...{ handler: gaveUp.handler, typed: true, input: "ca\x03" },
  });
  assertEquals([left.code, gaveUp.sent], [2, []]);
});

Deno.test("a password on the command line is taken, with a warning that does not repeat it", async () => {
  const { sent, handler } = server();
  const args = ["login", "ghcr.io", "-u", "ann", "-p", CANARY];
  const { code, out, err } = await berth(args, { handler });
  assertEquals([code, out], [0, "ghcr.io\n"]);
  assertStringIncludes(err, "history");
  assert(!err.includes(CANARY));
  assertEquals(sent, SENT);
});

Deno.test("login without a user name, password or registry is a usage error, and nothing is sent", async () => {
  const cases: [string[], string][] = [
    [["login"], "pw"],
    [["login", "-u", "ann"], "\n"],
    [["login", "-u", "ann", "-p", "x", "--password-stdin"], "pw"],
    [["login", "-u", "ann", "what is that"], "pw"],
  ];
  for (const [args, input] of cases) {
    const { sent, handler } = server();
    const { code, err } = await berth(args, { handler, input });
    assertEquals([code, sent], [2, []]);
    assertStringIncludes(err, "-u NAME");
  }
});

Deno.test("a registry's address is taken for its name", async () => {
  const names: Record<string, string> = {
    "https://ghcr.io/": "ghcr.io",
    "GHCR.io": "ghcr.io",
    "https://index.docker.io/v1/": "docker.io",
    "localhost:5000": "localhost:5000",
    "ghcr.io/shop/back-end": "ghcr.io/shop/back-end",
  };
  for (const [given, name] of Object.entries(names)) {
    const { sent, handler } = server();
    await berth(["logout", given], { handler });
    assertEquals(sent.map(({ call }) => call), [`DELETE /v1/registries/${name}`]);
  }
});

Deno.test("registry ls shows who, never with what", async () => {
  const { handler } = server();
  const listed = await berth(["registry", "ls"], { handler });
  assertEquals(listed.out.split("\n")[1]?.trim().split(/ {2,}/).slice(0, 2), ["ghcr.io", "ann"]);
});
