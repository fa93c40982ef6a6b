import { assert, assertEquals, assertRejects } from "@std/assert";
import { decodeBase64 } from "../../../kv/schema/base64.ts";
import { valueSources } from "../../../cli/compose/map/files.ts";
import { ComposeError } from "../../../cli/compose/tree.ts";
import { readValues, uploadValue } from "../../../cli/compose/upload.ts";
import { okValue, withApi } from "../../support/api.ts";
import { DIR, projectIn } from "./support.ts";

const files: Record<string, string> = {
  [`${DIR}/t.txt`]: "from a file",
  [`${DIR}/big`]: "x".repeat(600_000),
};
const around = {
  readFile: (path: string) => {
    const text = files[path];
    return text === undefined
      ? Promise.reject(new Error("no such file"))
      : Promise.resolve(new TextEncoder().encode(text));
  },
  env: (name: string) => name === "TOKEN" ? "from the environment" : undefined,
};

async function valuesOf(sections: string, uses: string) {
  const project = await projectIn(`services: {web: {image: i, ${uses}}}\n${sections}`);
  return await readValues(valueSources(project), around);
}

Deno.test("values come from files, the environment and the file itself; external ones are not read", async () => {
  const values = await valuesOf(
    `secrets:
  a: {file: t.txt}
  b: {environment: TOKEN, labels: [tier=front]}
  c: {external: true}
  unused: {file: gone}
configs:
  d: {content: "x = 1", name: site}
`,
    "secrets: [a, b, c], configs: [d]",
  );
  const text = (data: string) => new TextDecoder().decode(decodeBase64(data));
  assertEquals(values.map(({ kind, name, labels, data }) => [kind, name, labels, text(data)]), [
    ["secret", "a", {}, "from a file"],
    ["secret", "b", { tier: "front" }, "from the environment"],
    ["config", "site", {}, "x = 1"],
  ]);
});

for (
  const [title, secret, message] of [
    ["a file that is gone", "{file: gone}", "compose.yaml:3:6: secret a: cannot read its file"],
    ["a file too large", "{file: big}", "compose.yaml:3:6: secret a: its value is over 500 KiB"],
    [
      "a variable that is not set",
      "{environment: NO}",
      "compose.yaml:3:6: secret a: the variable NO is not set",
    ],
    ["nothing", "{labels: {}}", "compose.yaml:3:6: secrets.a says nothing of where its value is"],
  ] as const
) {
  Deno.test(`a secret made of ${title} is one message with its place`, async () => {
    const error = await assertRejects(() => valuesOf(`secrets:\n  a: ${secret}\n`, "secrets: [a]"));
    assert(error instanceof ComposeError);
    const said = error.message.replaceAll(`${DIR}/`, "");
    assertEquals(said.slice(0, message.length), message);
  });
}

Deno.test("a value is created, left alone while it is the same, and a new version when it differs", () =>
  withApi(async (t) => {
    const client = t.client();
    const upload = async (data: string, id: string) =>
      okValue(
        await uploadValue(
          { kind: "config", name: "site", labels: { tier: "front" }, data: btoa(data) },
          { client, project: "shop", id },
        ),
      );
    const made = await upload("one", "a");
    assertEquals([made.version, made.labels.tier, "berth.compose" in made.labels], [
      1,
      "front",
      true,
    ]);
    assertEquals((await upload("one", "b")).version, 1);
    assertEquals((await upload("two", "c")).version, 2);
    const all = okValue(await client.listConfigs({ project: "shop" })).items;
    assert(all.length === 1);
  }));
