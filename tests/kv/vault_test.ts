import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { createVault, KEY_BYTES, parseKeys } from "../../kv/vault.ts";
import { openVault } from "../../kv/vault_file.ts";

const keyOf = (n: number) => new Uint8Array(KEY_BYTES).fill(n);
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a box opens for what it was sealed for, and for nothing else", async () => {
  const vault = await createVault([keyOf(1)]);
  const box = await vault.seal(bytes("hunter2"), "secret a 1");
  const opened = await vault.open(box, "secret a 1");
  assertEquals(opened, bytes("hunter2"));
  assertEquals(await vault.open(box, "secret a 2"), undefined);
  for (const field of ["nonce", "data"] as const) {
    const spoilt = { ...box, [field]: box[field].map((byte, i) => i === 0 ? byte ^ 1 : byte) };
    assertEquals(await vault.open(spoilt, "secret a 1"), undefined, field);
  }
});

Deno.test("the same value is sealed differently each time", async () => {
  const vault = await createVault([keyOf(1)]);
  const boxes = await Promise.all(
    Array.from({ length: 50 }, () => vault.seal(bytes("hunter2"), "a")),
  );
  assertEquals(new Set(boxes.map(({ nonce }) => encodeBase64(nonce))).size, 50);
  assertEquals(new Set(boxes.map(({ data }) => encodeBase64(data))).size, 50);
});

Deno.test("the first key seals, all open, and a stranger's does not", async () => {
  const old = await createVault([keyOf(1)]);
  const both = await createVault([keyOf(2), keyOf(1)]);
  const before = await old.seal(bytes("x"), "a");
  assertEquals(await both.open(before, "a"), bytes("x"));
  const after = await both.seal(bytes("x"), "a");
  assertNotEquals(after.keyId, before.keyId);
  assertEquals(await old.open(after, "a"), undefined);
  assertEquals([both.has(before.keyId), old.has(after.keyId)], [true, false]);
});

Deno.test("a fingerprint depends on the text and on the key", async () => {
  const [a, b] = [await createVault([keyOf(1)]), await createVault([keyOf(2)])];
  assertEquals(await a.fingerprint("x"), await a.fingerprint("x"));
  assertNotEquals(await a.fingerprint("x"), await a.fingerprint("y"));
  assertNotEquals(await a.fingerprint("x"), await b.fingerprint("x"));
});

Deno.test("keys are read by comma or line; what is none is told by its place, unquoted", () => {
  const [one, two] = [encodeBase64(keyOf(1)), encodeBase64(keyOf(2))];
  for (const text of [`${one},${two}`, `${one}\n${two}\n`]) {
    assertEquals(parseKeys(text), { ok: true, keys: [keyOf(1), keyOf(2)] });
  }
  for (const wrong of ["", "hunter2", `${one},hunter2`, encodeBase64(keyOf(1).subarray(1))]) {
    const read = parseKeys(wrong);
    assert(!read.ok && !read.problem.includes("hunter2"), wrong);
  }
});

Deno.test("the first start makes a key that only its owner can read, and later ones use it", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/server/vault.key`;
  try {
    const first = await openVault({ given: undefined, path });
    const second = await openVault({ given: undefined, path });
    assert(first.ok && second.ok);
    assertEquals(first.vault.keyId, second.vault.keyId);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.chmod(path, 0o640);
    const open = await openVault({ given: undefined, path });
    assert(!open.ok);
    assertStringIncludes(open.problem, `chmod 600 ${path}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a key from the environment comes before the file, and none is made beside it", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const given = encodeBase64(keyOf(3));
    const opened = await openVault({ given, path: `${dir}/vault.key` });
    assert(opened.ok);
    assertEquals(opened.vault.keyId, (await createVault([keyOf(3)])).keyId);
    assertEquals([...Deno.readDirSync(dir)].length, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
