/**
 * `.dockerignore`: which files of a context are not for the engine. Pure.
 *
 * @module
 */

export interface Ignore {
  /** Whether a file is left out; `path` is relative to the context. */
  excludes(path: string): boolean;
  /** Whether nothing below a directory can be for the engine. */
  skips(dir: string): boolean;
}

interface Rule {
  pattern: RegExp;
  keeps: boolean;
}

/** The last line that fits a file, or a directory it is in, decides. */
export function parseIgnore(text: string): Ignore {
  const rules = text.split("\n").flatMap(ruleOf);
  const keeps = rules.some((rule) => rule.keeps);
  const excludes = (path: string) => {
    const parts = path.split("/");
    const parents = parts.map((_, i) => parts.slice(0, i + 1).join("/"));
    let excluded = false;
    for (const rule of rules) {
      if (rule.keeps === excluded && parents.some((part) => rule.pattern.test(part))) {
        excluded = !rule.keeps;
      }
    }
    return excluded;
  };
  return { excludes, skips: (dir) => !keeps && excludes(dir) };
}

function ruleOf(line: string): Rule[] {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return [];
  const keeps = text.startsWith("!");
  const bare = (keeps ? text.slice(1).trim() : text).replace(/^\.?\/+/, "").replace(/\/+$/, "");
  return bare === "" || bare === "." ? [] : [{ keeps, pattern: expressionOf(bare) }];
}

function expressionOf(pattern: string): RegExp {
  const source = pattern.replace(
    /\*\*\/|\*\*|\*|\?|\\.|\[[^\]]+\]|[^*?\\[]/g,
    (part) => {
      if (part === "**/") return "(?:.*/)?";
      if (part === "**") return ".*";
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      if (part.startsWith("[")) return part;
      return (part.startsWith("\\") ? part.slice(1) : part).replace(/[.+^${}()|\\[\]*?]/g, "\\$&");
    },
  );
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /(?!)/;
  }
}
