import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { contextsPath, resolveTarget } from "../../cli/connect.ts";
import { contextStore, parseContexts } from "../../cli/contexts.ts";

const file = {
  current: "home",
  contexts: {
    home: { server: "http://home:7070", token: "home-token" },
    office: { server: "https://office", token: "office-token" },
  },
};
const contexts = () => Promise.resolve({ ok: true as const, value: file });

Deno.test("flags win over the environment, the environment over the contexts file", async () => {
  const cases: [
    Record<string, string>,
    Record<string, string>,
    [string, string | undefined, string],
  ][] = [
    [{}, {}, ["http://home:7070", "home-token", "context home"]],
    [{}, { context: "office" }, ["https://office", "office-token", "context office"]],
    [{ context: "office" }, { context: "home" }, [
      "https://office",
      "office-token",
      "context office",
    ]],
    [{}, { server: "http://env", token: "e" }, ["http://env", "e", "BERTH_SERVER"]],
    [{ server: "http://flag" }, { token: "e" }, ["http://flag", "e", "--server"]],
    [{ server: "http://flag", token: "f" }, { server: "http://env", token: "e" }, [
      "http://flag",
      "f",
      "--server",
    ]],
    [{ context: "office" }, { server: "http://env" }, [
      "https://office",
      "office-token",
      "context office",
    ]],
    [{ token: "f" }, {}, ["http://home:7070", "f", "context home"]],
  ];
  for (const [flags, env, [server, token, from]] of cases) {
    const resolved = await resolveTarget({ flags, env, contexts });
    assert(resolved.ok);
    assertEquals([resolved.target.server, resolved.target.token, resolved.target.from], [
      server,
      token,
      from,
    ]);
  }
});

Deno.test("a stored token goes to its own server only", async () => {
  const to = async (server: string) => {
    const resolved = await resolveTarget({ flags: { server }, env: {}, contexts });
    return resolved.ok ? resolved.target.token : "refused";
  };
  assertEquals(await to("https://office/"), "office-token");
  assertEquals(await to("http://office"), undefined);
  assertEquals(await to("https://elsewhere"), undefined);
});

Deno.test("without a server, and with a wrong one, it says what to do", async () => {
  const empty = () => Promise.resolve({ ok: true as const, value: { contexts: {} } });
  const nowhere = await resolveTarget({ flags: {}, env: {}, contexts: empty });
  assert(!nowhere.ok);
  assertStringIncludes(nowhere.message, "deno task dev");
  const bad = await resolveTarget({ flags: { server: "localhost:7070" }, env: {}, contexts });
  assert(!bad.ok);
  assertStringIncludes(bad.message, "--server must be a URL");
  const unknown = await resolveTarget({ flags: { context: "x" }, env: {}, contexts });
  assert(!unknown.ok);
  assertStringIncludes(unknown.message, "known: home, office");
});

Deno.test("the contexts file is where XDG says", () => {
  const env = (all: Record<string, string>) => (name: string) => all[name];
  assertEquals(
    contextsPath(env({ HOME: "/h", XDG_CONFIG_HOME: "/x" })),
    "/x/berth/contexts.json",
  );
  assertEquals(contextsPath(env({ HOME: "/h" })), "/h/.config/berth/contexts.json");
});

async function inTemp(run: (dir: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("the contexts file is readable by its owner only, and so is its directory", async () => {
  await inTemp(async (dir) => {
    const store = contextStore(`${dir}/berth/contexts.json`);
    assertEquals(await store.read(), { ok: true, value: { contexts: {} } });
    assert((await store.update(() => ({ ok: true, value: file }))).ok);
    assertEquals(((await Deno.stat(store.path)).mode ?? 0) & 0o777, 0o600);
    assertEquals(((await Deno.stat(`${dir}/berth`)).mode ?? 0) & 0o777, 0o700);
    assertEquals(await store.read(), { ok: true, value: file });
    const names = [...Deno.readDirSync(`${dir}/berth`)].map((entry) => entry.name);
    assertEquals(names, ["contexts.json"], "no temporary file is left");
  });
});

Deno.test("a contexts file that others may read is not used", async () => {
  await inTemp(async (dir) => {
    const store = contextStore(`${dir}/contexts.json`);
    await Deno.writeTextFile(store.path, JSON.stringify(file));
    await Deno.chmod(store.path, 0o644);
    const read = await store.read();
    assert(!read.ok);
    assertStringIncludes(read.message, `chmod 600 ${store.path}`);
  });
});

Deno.test("a corrupt contexts file is reported and left as it is", async () => {
  await inTemp(async (dir) => {
    const store = contextStore(`${dir}/contexts.json`);
    const text = '{"contexts": {"home": {"server": "http://h", "token": "s3cret"';
    await Deno.writeTextFile(store.path, text, { mode: 0o600 });
    const updated = await store.update(() => ({ ok: true, value: { contexts: {} } }));
    assert(!updated.ok);
    assertStringIncludes(updated.message, "not valid JSON");
    assertEquals(await Deno.readTextFile(store.path), text);
  });
});

Deno.test("no message about the contexts file contains a token", () => {
  const wrong = [
    '{"contexts": {"home": {"server": "http://h", "token": "s3cret"',
    '{"contexts": {"home": {"server": "s3cret", "token": "s3cret"}}}',
    '{"contexts": {"home": {"server": 1, "token": {"s3cret": 1}}}}',
  ];
  for (const text of wrong) {
    const parsed = parseContexts(text, "f");
    assert(!parsed.ok);
    assertFalse(parsed.message.includes("s3cret"), parsed.message);
  }
});
