/**
 * What in a Dockerfile asks for BuildKit: the engine's plain builder does not know it, or silently makes
 * something else of it. Pure.
 *
 * @module
 */

/** Set by BuildKit alone. */
const PLATFORM = "(?:BUILD|TARGET)(?:PLATFORM|OS|ARCH|VARIANT)";

const NEEDS: readonly (readonly [what: string, pattern: RegExp])[] = [
  ["RUN --mount", /^RUN\s+(--\S+\s+)*--mount\b/i],
  ["RUN --network", /^RUN\s+(--\S+\s+)*--network\b/i],
  ["RUN --security", /^RUN\s+(--\S+\s+)*--security\b/i],
  ["a here-document", /^(RUN|COPY|ADD)\s.*<<-?["']?[A-Za-z_]/i],
  ["COPY --link", /^(COPY|ADD)\s+(--\S+\s+)*--link\b/i],
  ["COPY --chmod", /^(COPY|ADD)\s+(--\S+\s+)*--chmod\b/i],
  ["COPY --parents", /^COPY\s+(--\S+\s+)*--(parents|exclude)\b/i],
  ["ADD --checksum", /^ADD\s+(--\S+\s+)*--(checksum|keep-git-dir|unpack)\b/i],
  ["a platform of BuildKit's", new RegExp(`^FROM\\s.*\\$\\{?${PLATFORM}\\b`, "i")],
  ["an argument of BuildKit's", new RegExp(`^ARG\\s+${PLATFORM}\\s*$`, "i")],
];

/** The first thing that asks for it, with its line; undefined when nothing does. */
export function buildKitNeed(dockerfile: string): string | undefined {
  const given = new Set<string>();
  for (const [i, line] of dockerfile.split("\n").entries()) {
    const text = line.trim();
    const [, name] = /^ARG\s+(\w+)=/i.exec(text) ?? [];
    if (name !== undefined) given.add(name);
    const found = NEEDS.find(([, pattern]) => pattern.test(text));
    if (!found) continue;
    const own = new RegExp(`\\b${PLATFORM}\\b`).exec(text)?.[0];
    // One that the file itself gives a value is no question to BuildKit.
    if (own === undefined || !given.has(own)) return `${found[0]} in line ${i + 1}`;
  }
  return undefined;
}
