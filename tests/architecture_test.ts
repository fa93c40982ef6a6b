import { assertEquals } from "@std/assert";

const ROOT = new URL("..", import.meta.url);

interface SourceFile {
  path: string;
  text: string;
  /** Targets of its imports: paths from the root, or bare names. */
  imports: string[];
}

async function sources(): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const top of ["kv", "scheduler", "api", "worker", "cli"]) await walk(top, files);
  await add("main.ts", files);
  return files;
}

async function walk(dir: string, files: SourceFile[]): Promise<void> {
  for await (const entry of Deno.readDir(new URL(dir, ROOT))) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) await walk(path, files);
    else if (/\.tsx?$/.test(entry.name)) await add(path, files);
  }
}

async function add(path: string, files: SourceFile[]): Promise<void> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const found = [
    ...text.matchAll(/\bfrom "([^"]+)"(?: with .*)?;$/gm),
    ...text.matchAll(/^import "([^"]+)";$/gm),
    ...text.matchAll(/\bimport\(\s*"([^"]+)"/g),
  ];
  const imports = found.map(([, target = ""]) =>
    target.startsWith(".")
      ? new URL(target, new URL(path, ROOT)).href.slice(ROOT.href.length)
      : target
  );
  files.push({ path, text, imports });
}

/** Who may import what, first match decides. `@` stands for packages. */
const RULES: { files: RegExp; allowed: RegExp }[] = [
  { files: /^kv\/schema\/schedule\.ts$/, allowed: /^croner$/ },
  { files: /^kv\/schema\//, allowed: /^(kv\/schema\/|zod$)/ },
  // What a certificate is, the platform knows.
  { files: /^kv\/certificates\.ts$/, allowed: /^node:crypto$/ },
  { files: /^kv\//, allowed: /^(kv\/|zod$)/ },
  {
    files: /^scheduler\/(apply|apply_\w+|commit|tick|load|sweep|term|intake|round)\.ts$/,
    allowed: /^(kv|scheduler)\/|^zod$/,
  },
  { files: /^scheduler\//, allowed: /^(kv\/schema|scheduler)\// },
  // Puts a server together of all the rooms.
  { files: /^api\/server\//, allowed: /^(api|kv|scheduler)\/|^(ulid|zod|node:util)$/ },
  { files: /^api\/client(\/\w+)?\.ts$/, allowed: /^(api\/client\/|kv\/schema\/|zod$)/ },
  {
    files: /^api\//,
    allowed:
      /^(api\/|kv\/|scheduler\/(why|world|place|plan|forecast\/forecast)\.ts$|zod$|hono|@hono\/|prom-client$|swagger-ui-dist)/,
  },
  {
    files: /^worker\/docker\//,
    allowed: /^(worker\/|kv\/schema\/|zod$|node:|dockerode$|@types\/dockerode$)/,
  },
  { files: /^worker\/dns\/message\.ts$/, allowed: /^(node:buffer|dns-packet)$/ },
  { files: /^worker\//, allowed: /^(worker\/|kv\/schema\/|api\/client\.ts$|zod$|node:)/ },
  {
    files: /^cli\/main\.ts$/,
    allowed:
      /^(cli\/|kv\/schema\/|api\/client\.ts$|zod$|node:|commander$|@bomb\.sh\/tab|deno\.json$)/,
  },
  {
    files: /^cli\//,
    allowed: /^(cli\/|kv\/schema\/|api\/client\.ts$|zod$|node:|cli-table3$|yaml$|ulid$)/,
  },
  { files: /^main\.ts$/, allowed: /^(kv|api\/server)\/|^(node:process|deno\.json)$/ },
];

Deno.test("every room imports only what the architecture lets it", async () => {
  const broken: string[] = [];
  for (const file of await sources()) {
    const rule = RULES.find((r) => r.files.test(file.path));
    for (const target of file.imports) {
      if (!rule?.allowed.test(target)) broken.push(`${file.path} imports ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("the scheduler's core imports no effect: only the files named effectful touch kv", async () => {
  const pure = (await sources()).filter((f) =>
    f.path.startsWith("scheduler/") && !f.imports.some((i) => /^kv\/(?!schema)/.test(i))
  );
  const impure = /\b(Date\.now|performance\.now|Math\.random|crypto\.|setTimeout|await|async)\b/;
  const broken = pure.filter((f) => impure.test(code(f.text))).map((f) => f.path);
  // These take what is effectful as parameters, or are effectful by design.
  assertEquals(broken.filter((path) => !/\/(tick|term|intake|round|sweep)\.ts$/.test(path)), []);
});

Deno.test("Deno.openKv appears once, in kv/open.ts", async () => {
  const users = (await sources()).filter((f) => code(f.text).includes("Deno.openKv("));
  assertEquals(users.map((f) => f.path), ["kv/open.ts"]);
});

Deno.test("only composition roots read the environment and the arguments", async () => {
  const users = (await sources()).filter((f) => /Deno\.(env|args)\b/.test(code(f.text)));
  const roots = /^(main\.ts|worker\/(main|sample_image)\.ts|cli\/main\.ts)$/;
  assertEquals(users.map((f) => f.path).filter((path) => !roots.test(path)), []);
});

Deno.test("nothing builds a key outside kv/keys.ts", async () => {
  const users = (await sources()).filter((f) =>
    f.path !== "kv/keys.ts" && /\.(get|set|delete)\(\[/.test(code(f.text))
  );
  assertEquals(users.map((f) => f.path), []);
});

Deno.test("dockerode is imported by the docker runtime alone", async () => {
  const users = (await sources()).filter((f) => f.imports.includes("dockerode"));
  assertEquals(users.map((f) => f.path).filter((path) => !path.startsWith("worker/docker/")), []);
});

/** The text without comments. */
function code(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}
