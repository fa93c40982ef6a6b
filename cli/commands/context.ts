/**
 * `berth context`: named servers.
 *
 * @module
 */
import type { Deps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { style } from "../format/style.ts";
import { fail, failLines, hint, printList, printValue } from "../report.ts";

interface ContextRow {
  name: string;
  current: boolean;
  server: string;
  token: "stored" | "none";
}

const NEXT = "see them all: berth context ls";

export async function contextLs(deps: Deps): Promise<ExitCode> {
  const read = await deps.contexts.read();
  if (!read.ok) return fail(deps, read.message, "", EXIT.failed);
  const rows = Object.entries(read.value.contexts).map(([name, context]): ContextRow => ({
    name,
    current: name === read.value.current,
    server: context.server,
    token: context.token ? "stored" : "none",
  }));
  const paint = style(deps.view.color);
  return await printList(deps, {
    rows,
    columns: [
      { header: "", cell: (row) => row.current ? "*" : "", paint: () => paint.good },
      { header: "NAME", cell: (row) => row.name },
      { header: "SERVER", cell: (row) => row.server, minWidth: 12 },
      { header: "TOKEN", cell: (row) => row.token },
    ],
    name: (row) => row.name,
    empty: "No contexts. `deno task dev` makes one, or: berth context add NAME --server URL",
  });
}

export async function contextUse(name: string, deps: Deps): Promise<ExitCode> {
  return await changed(
    deps,
    name,
    "is current",
    (contexts) =>
      contexts.contexts[name]
        ? { ok: true, value: { ...contexts, current: name } }
        : { ok: false, message: `there is no context "${name}"` },
  );
}

export async function contextRm(name: string, deps: Deps): Promise<ExitCode> {
  return await changed(deps, name, "is removed", (contexts) => {
    const { [name]: removed, ...rest } = contexts.contexts;
    if (!removed) return { ok: false, message: `there is no context "${name}"` };
    const { current, ...others } = contexts;
    const keep = current === undefined || current === name ? {} : { current };
    return { ok: true, value: { ...others, ...keep, contexts: rest } };
  });
}

/** Adds or replaces a context; the first one becomes current. `add` replaces none. */
export async function contextSet(
  name: string,
  context: { server: string | undefined; token: string | undefined },
  deps: Deps,
  { add = false }: { add?: boolean } = {},
): Promise<ExitCode> {
  const { server, token } = context;
  if (!server || !/^https?:$/.test(URL.parse(server)?.protocol ?? "")) {
    return fail(
      deps,
      `a context needs its server's URL`,
      `for example: berth context ${
        add ? "add" : "set"
      } ${name} --server https://berth.example.com --token TOKEN`,
      EXIT.usage,
    );
  }
  const taken = `there is a context "${name}" already`;
  const next = `replace it: berth context set ${name} --server ${server}\n${NEXT}`;
  const known = add ? await deps.contexts.read() : undefined;
  if (known?.ok && known.value.contexts[name]) return fail(deps, taken, next, EXIT.conflict);
  return await changed(deps, name, "is stored", (contexts) => ({
    ok: true,
    value: {
      current: contexts.current ?? name,
      contexts: { ...contexts.contexts, [name]: { server, ...(token ? { token } : {}) } },
    },
  }));
}

/** Which server and token a command would use now, and why. The token itself is not shown. */
export async function contextShow(deps: Deps): Promise<ExitCode> {
  const connection = await deps.connection();
  if (!connection.ok) return failLines(deps, connection.message, EXIT.usage);
  const { server, token, from } = connection.target;
  const shown = { server, from, token: token ? "given" : "none", file: deps.contexts.path };
  const { output } = deps.view;
  if (output === "json" || output === "yaml") await printValue(deps, shown, output);
  else if (deps.view.quiet) deps.io.out(server + "\n");
  else {
    const paint = style(deps.view.color);
    for (const [key, text] of Object.entries(shown)) {
      deps.io.out(`${paint.dim(key.padEnd(7))} ${text}\n`);
    }
  }
  return EXIT.ok;
}

async function changed(
  deps: Deps,
  name: string,
  done: string,
  change: Parameters<Deps["contexts"]["update"]>[0],
): Promise<ExitCode> {
  const result = await deps.contexts.update(change);
  if (!result.ok) {
    const missing = result.message.startsWith("there is no");
    return fail(deps, result.message, missing ? NEXT : "", missing ? EXIT.notFound : EXIT.failed);
  }
  hint(deps, `Context ${name} ${done}.`);
  return EXIT.ok;
}
