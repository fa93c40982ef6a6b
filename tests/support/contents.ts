/**
 * What is in files, for tests that look for what must not be there.
 *
 * @module
 */

/** The names and contents of all files under a directory, as text. */
export async function contentsOf(dir: string): Promise<string> {
  let all = "";
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) all += await contentsOf(path);
    else if (entry.isFile) {
      all += `\n${path}\n${new TextDecoder("latin1").decode(await Deno.readFile(path))}`;
    }
  }
  return all;
}
