import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { berth, type Handler, oneService, serviceView, taskView } from "./support.ts";

Deno.test("completion scripts are made for three shells, and no other", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, logged } = await logging(["completion", shell]);
    assertEquals(code, 0);
    assertStringIncludes(logged, "berth complete");
  }
  assertEquals((await berth(["completion", "tcsh"])).code, 2);
});

Deno.test("completion knows commands, flags, choices, and the names of services", async () => {
  const complete = async (...words: string[]) =>
    (await logging(["complete", "--", ...words], oneService)).logged
      .split("\n").map((line) => line.split("\t")[0]);
  assertEquals((await complete("st")).slice(0, 3), ["stop", "start", "status"]);
  assert((await complete("ps", "--al")).includes("--all"));
  assert((await complete("stop", "")).includes("storefront"));
  assert((await complete("logs", "storefront.")).includes("storefront.2"));
  assert((await complete("node", "")).includes("join-token"));
});

Deno.test("each line that completes is a word and what it does, whatever its help says", async () => {
  for (const word of ["", "node", "rollout", "secret"]) {
    const { logged } = await logging(["complete", "--", ...word === "" ? [] : [word], ""]);
    const lines = logged.trimEnd().split("\n");
    assertMatch(lines.pop() ?? "", /^:\d+$/);
    assert(lines.length > 3, word);
    for (const line of lines) assertMatch(line, /^[a-z-]+\t\S.*$/);
  }
});

Deno.test("what is of another project is completed with it", async () => {
  const handler = (request: Request) => {
    const tasks = new URL(request.url).pathname === "/v1/tasks";
    const items = [tasks ? taskView({ project: "shop" }) : serviceView({ project: "shop" })];
    return Response.json({ items });
  };
  const { logged } = await logging(["complete", "--", "logs", ""], handler);
  const words = logged.split("\n").map((line) => line.split("\t")[0]);
  assertEquals(words.slice(0, 2), ["shop/storefront", "shop/storefront.1"]);
});

/** The completion package prints by itself. */
async function logging(args: string[], handler?: Handler) {
  const { log } = console;
  let logged = "";
  console.log = (text: string) => void (logged += text + "\n");
  try {
    const { code } = await berth(args, handler ? { handler } : {});
    return { code, logged };
  } finally {
    console.log = log;
  }
}
