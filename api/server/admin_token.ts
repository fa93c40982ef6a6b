/**
 * The first admin token, kept for the command line of this machine.
 *
 * @module
 */

/** Writes it into the directory, readable by its owner only. Answers the path. */
export async function keepAdminToken(dir: string, token: string): Promise<string> {
  const path = `${dir}/admin-token`;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(path, token + "\n", { mode: 0o600 });
  await Deno.chmod(path, 0o600);
  return path;
}
