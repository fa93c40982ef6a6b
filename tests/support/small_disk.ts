/**
 * A small disk of a test's own, where that can be had: root on Linux.
 *
 * @module
 */
import { assert } from "@std/assert";

export interface SmallDisk {
  path: string;
  /** Takes up all the room that is left. */
  fill(): Promise<void>;
  /** Gives it back. */
  free(): Promise<void>;
}

async function mount(path: string): Promise<boolean> {
  await Deno.mkdir(path);
  try {
    const args = ["-t", "tmpfs", "-o", "size=3m", "tmpfs", path];
    return (await new Deno.Command("mount", { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

async function unmount(path: string): Promise<void> {
  await new Deno.Command("umount", { args: [path] }).output();
}

async function canMount(): Promise<boolean> {
  const dir = await Deno.makeTempDir({ prefix: "berth-disk-" });
  const mounted = await mount(`${dir}/disk`);
  if (mounted) await unmount(`${dir}/disk`);
  await Deno.remove(dir, { recursive: true });
  return mounted;
}

const possible = await canMount();

/** Defines a test with a disk of 3 MiB; ignored, with the reason in its name, where none can be had. */
export function diskTest(
  name: string,
  fn: (disk: SmallDisk) => Promise<void>,
): void {
  Deno.test({
    name: possible ? name : `${name} [needs to mount a small disk]`,
    ignore: !possible,
    async fn() {
      const dir = await Deno.makeTempDir({ prefix: "berth-disk-" });
      const path = `${dir}/disk`;
      assert(await mount(path));
      try {
        await fn({
          path,
          fill: () =>
            Deno.writeFile(`${path}/ballast`, new Uint8Array(8 * 2 ** 20)).catch(() => {}),
          free: () => Deno.remove(`${path}/ballast`),
        });
      } finally {
        await unmount(path);
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
