/**
 * What a template's files must not do: lie in one place.
 *
 * @module
 */
import type { z } from "zod";
import { type ConfigRef, pathOf, type SecretRef } from "./sealed.ts";

interface Files {
  secrets: readonly SecretRef[];
  configs: readonly ConfigRef[];
}

/** Two files at one path: the second would hide the first. */
export function checkFiles({ secrets, configs }: Files, context: z.RefinementCtx): void {
  const seen = new Map<string, string>();
  for (const [kind, refs] of [["secret", secrets], ["config", configs]] as const) {
    for (const [i, ref] of refs.entries()) {
      const path = pathOf(kind, ref);
      const field = `${kind}s.${i}`;
      const other = seen.get(path);
      if (other === undefined) seen.set(path, field);
      else {
        const message = `${path} is the file of ${other} already`;
        context.addIssue({ code: "custom", path: [`${kind}s`, i, "target"], message });
      }
    }
  }
}
