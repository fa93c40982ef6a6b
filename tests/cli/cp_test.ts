import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { parsePlace } from "../../cli/commands/cp.ts";
import { extract } from "../../cli/copy/extract.ts";
import { pack } from "../../cli/copy/pack.ts";
import { readTar } from "../../kv/schema/tar_read.ts";
import { joined, TAR_END, type TarEntry, tarEntry } from "../../kv/schema/tar.ts";
import { berth, oneService } from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function* tarOf(...entries: (Partial<TarEntry> & { name: string })[]) {
  for (const entry of entries) {
    yield await Promise.resolve(tarEntry({ type: "file", mode: 0o644, ...entry }));
  }
  yield TAR_END;
}

/** All files below, as `path content`, links as `path -> target`. */
async function treeOf(dir: string, at = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(`${dir}${at}`)) {
    const path = `${at}/${name}`;
    if (isSymlink) found.push(`${path} -> ${await Deno.readLink(dir + path)}`);
    else if (isDirectory) found.push(`${path}/`, ...await treeOf(dir, path));
    else found.push(`${path} ${await Deno.readTextFile(dir + path)}`);
  }
  return found.sort();
}

Deno.test("what is packed and unpacked is the same: content, modes, links, times", () =>
  inDirectory(async (dir) => {
    await Deno.mkdir(`${dir}/from/sub`, { recursive: true });
    await Deno.writeTextFile(`${dir}/from/run`, "x".repeat(100_000));
    await Deno.chmod(`${dir}/from/run`, 0o751);
    await Deno.utime(`${dir}/from/run`, 1_000_000, 1_000_000);
    await Deno.writeTextFile(`${dir}/from/sub/${"long".repeat(50)}`, "");
    await Deno.symlink("run", `${dir}/from/link`);
    await Deno.chmod(`${dir}/from/sub`, 0o500);
    const tar = pack(`${dir}/from`, { name: "root", follow: false });
    const done = await extract(tar, { root: `${dir}/to`, strip: true });
    assert(done.ok);
    await Deno.chmod(`${dir}/from/sub`, 0o700);
    assertEquals(await treeOf(`${dir}/to`), await treeOf(`${dir}/from`));
    const info = await Deno.stat(`${dir}/to/run`);
    assertEquals([(info.mode ?? 0) & 0o777, info.mtime?.getTime()], [0o751, 1_000_000_000]);
    assertEquals(((await Deno.stat(`${dir}/to/sub`)).mode ?? 0) & 0o777, 0o500);
    await Deno.chmod(`${dir}/to/sub`, 0o700);
  }));

Deno.test("owners and the bits that lend rights are kept when that is asked for, and else not", () =>
  inDirectory(async (dir) => {
    const { uid, gid } = await Deno.stat(dir);
    if (uid === null || gid === null) return; // No owners on this machine.
    // Only root may give files away; anybody may keep what is theirs.
    const owner = uid === 0 ? { uid: 1234, gid: 5678 } : { uid, gid };
    const entries = () =>
      tarOf(
        { name: "root/", type: "directory", mode: 0o755, ...owner },
        { name: "root/run", mode: 0o4755, data: bytes("x"), ...owner },
        { name: "root/link", type: "link", target: "/none", ...owner },
      );
    const seen = async (at: string) => {
      const infos = await Promise.all(["", "/run", "/link"].map((path) => Deno.lstat(at + path)));
      return [infos.map((info) => [info.uid, info.gid]), (infos[1]?.mode ?? 0) & 0o7777];
    };
    assert((await extract(entries(), { root: `${dir}/mine`, strip: true })).ok);
    assertEquals(await seen(`${dir}/mine`), [[[uid, gid], [uid, gid], [uid, gid]], 0o755]);
    assert((await extract(entries(), { root: `${dir}/kept`, strip: true, keepOwners: true })).ok);
    const kept = [owner.uid, owner.gid];
    assertEquals(await seen(`${dir}/kept`), [[kept, kept, kept], 0o4755]);

    const owners = async (keepOwners: boolean) => {
      const found: (number | undefined)[][] = [];
      for await (
        const entry of readTar(pack(`${dir}/kept`, { name: "r", follow: false, keepOwners }))
      ) {
        found.push([entry.uid, entry.gid]);
      }
      return found;
    };
    assertEquals(await owners(true), [kept, kept, kept]);
    assertEquals(await owners(false), [[0, 0], [0, 0], [0, 0]]);
  }));

Deno.test("no archive writes outside of where it is unpacked", async () => {
  const link = (name: string, target: string) => ({ name, type: "link", target }) as const;
  const attacks: (dir: string) => [string, AsyncGenerator<Uint8Array>][] = (dir) => [
    ["dots", tarOf({ name: "root/../../outside", data: bytes("!") })],
    ["a link of the archive", tarOf(link("root/a", dir), { name: "root/a/outside" })],
    ["the root as a link", tarOf(link("root", dir), { name: "root/outside" })],
    ["a hard link", tarOf({ name: "root/x", data: bytes("x") }, link("root/b", `${dir}/secret`))],
    ["a link that was here", tarOf({ name: "root/here/outside" })],
  ];
  const count = attacks("").length;
  for (let i = 0; i < count; i++) {
    await inDirectory(async (dir) => {
      await Deno.writeTextFile(`${dir}/secret`, "kept");
      await Deno.mkdir(`${dir}/work`);
      if (i !== 2) {
        await Deno.mkdir(`${dir}/work/to`);
        await Deno.symlink(dir, `${dir}/work/to/here`);
      }
      const [name, tar] = attacks(dir)[i]!;
      const done = await extract(tar, { root: `${dir}/work/to`, strip: true });
      assertEquals(done.ok, name === "a hard link", name);
      const outside = (await treeOf(dir)).filter((path) => !path.startsWith("/work/"));
      assertEquals(outside, ["/secret kept"], name);
    });
  }
});

Deno.test("a file that is a link here is replaced, and what it leads to is not touched", () =>
  inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/secret`, "kept");
    await Deno.symlink(`${dir}/secret`, `${dir}/f`);
    const done = await extract(tarOf({ name: "f", data: bytes("new") }), {
      root: `${dir}/f`,
      strip: true,
    });
    assert(done.ok);
    assertEquals(await treeOf(dir), ["/f new", "/secret kept"]);
  }));

Deno.test("rights that files lend are not kept, and directories that were here keep their modes", () =>
  inDirectory(async (dir) => {
    await Deno.mkdir(`${dir}/to`);
    await Deno.chmod(`${dir}/to`, 0o711);
    const tar = tarOf(
      { name: "root/", type: "directory", mode: 0o777 },
      { name: "root/su", mode: 0o4755 },
    );
    assert((await extract(tar, { root: `${dir}/to`, strip: true })).ok);
    assertEquals(((await Deno.stat(`${dir}/to`)).mode ?? 0) & 0o7777, 0o711);
    assertEquals(((await Deno.stat(`${dir}/to/su`)).mode ?? 0) & 0o7777, 0o755);
  }));

Deno.test("a directory never replaces a file, nor a file a directory", () =>
  inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/f`, "kept");
    await Deno.mkdir(`${dir}/d`);
    const asFile = await extract(tarOf({ name: "d" }), { root: `${dir}/d`, strip: true });
    assertFalse(asFile.ok);
    const directory = tarOf({ name: "f/", type: "directory" });
    assertFalse((await extract(directory, { root: `${dir}/f`, strip: true })).ok);
    assertEquals(await treeOf(dir), ["/d/", "/f kept"]);
  }));

Deno.test("half an archive, or none, is an error", () =>
  inDirectory(async (dir) => {
    async function* cut() {
      const all = joined([tarEntry({ name: "f", type: "file", mode: 0o644, data: bytes("abc") })]);
      yield await Promise.resolve(all.subarray(0, 514));
    }
    async function* text() {
      yield await Promise.resolve(bytes("<html>".repeat(200)));
    }
    for (const tar of [cut(), text()]) {
      assertFalse((await extract(tar, { root: `${dir}/f`, strip: true })).ok);
    }
  }));

Deno.test("TASK:PATH is told from paths of this machine", () => {
  assertEquals(parsePlace("web.1:/etc"), { ref: "web.1", path: "/etc" });
  assertEquals(parsePlace("shop/web:srv/x:y"), { ref: "shop/web", path: "/srv/x:y" });
  for (const local of ["./a:b", "/a:b", "../a:b", "a", "-", "C", ":x", "a:"]) {
    assertEquals(parsePlace(local), undefined, local);
  }
});

Deno.test("cp between two containers, or none, is refused with how to write it", async () => {
  for (const [from, to] of [["web:/a", "db:/b"], ["./a", "./b"]] as const) {
    const { code, err } = await berth(["cp", from, to], { handler: oneService });
    assertEquals(code, 2);
    assertStringIncludes(err, "berth cp web.1:/etc/hosts .");
  }
});
