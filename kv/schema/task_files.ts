/**
 * What a template's files and mounts must not do: lie in one place.
 *
 * @module
 */
import type { z } from "zod";
import { type ConfigRef, pathOf, type SecretRef, SECRETS_DIR } from "./sealed.ts";
import type { Mount } from "./volume.ts";

interface Files {
  secrets: readonly SecretRef[];
  configs: readonly ConfigRef[];
  mounts: readonly Mount[];
  container?: { readOnly?: boolean | undefined } | undefined;
}

/** Two things at one path: the second would hide the first. */
export function checkFiles(files: Files, context: z.RefinementCtx): void {
  const { secrets, configs, mounts } = files;
  if (files.container?.readOnly) checkReadOnly(files, context);
  const seen = new Map<string, string>();
  if (secrets.length > 0) seen.set(SECRETS_DIR, "the secrets");
  const claim = (path: string, list: string, i: number) => {
    const other = seen.get(path);
    if (other === undefined) seen.set(path, `${list}.${i}`);
    else {
      const message = `${path} is the place of ${other} already`;
      context.addIssue({ code: "custom", path: [list, i, "target"], message });
    }
  };
  secrets.forEach((ref, i) => claim(pathOf("secret", ref), "secrets", i));
  configs.forEach((ref, i) => claim(pathOf("config", ref), "configs", i));
  mounts.forEach(({ target }, i) => claim(target.replace(/\/+$/, ""), "mounts", i));
}

/** Only the secrets' own directory can be written when the container's root cannot. */
function checkReadOnly({ secrets, configs }: Files, context: z.RefinementCtx): void {
  for (const [kind, refs] of [["secret", secrets], ["config", configs]] as const) {
    for (const [i, ref] of refs.entries()) {
      const path = pathOf(kind, ref);
      if (path.startsWith(`${SECRETS_DIR}/`) && kind === "secret") continue;
      const way = kind === "secret" ? `leave it below ${SECRETS_DIR}` : "make it a secret";
      const message = `${path} cannot be written, the container's root is read-only: ${way}`;
      context.addIssue({ code: "custom", path: [`${kind}s`, i, "target"], message });
    }
  }
}
