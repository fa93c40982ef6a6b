/**
 * What a long run has done so far, in a file: all that a later process needs to go on.
 *
 * @module
 */
import type { z } from "zod";

/** What is in the file; undefined when there is no such file. */
export async function readProgress<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return schema.parse(JSON.parse(text));
}

/** Replaces the file as a whole. */
export async function saveProgress(path: string, progress: unknown): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, `${JSON.stringify(progress, null, 2)}\n`);
  await Deno.rename(`${path}.new`, path);
}
