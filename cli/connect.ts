/**
 * Which server to talk to, and with which token.
 *
 * Invariants:
 * 1. Flags win over the environment, the environment over the contexts file.
 * 2. A token stored in a context goes only to that context's own server.
 * 3. No message contains a token.
 *
 * @module
 */
import type { Connection } from "./deps.ts";
import type { Context, ContextsResult } from "./contexts.ts";

export interface ConnectInput {
  flags: { server?: string; token?: string; context?: string };
  env: { server?: string; token?: string; context?: string };
  /** Called only when a context may be needed. */
  contexts: () => Promise<ContextsResult>;
}

export async function resolveTarget(input: ConnectInput): Promise<Connection> {
  const { flags, env } = input;
  const given = chooseServer(flags, env);
  if (given.kind === "url") {
    const parsed = checkUrl(given.url, given.from);
    if (!parsed.ok) return parsed;
    const token = flags.token ?? env.token;
    if (token) return { ok: true, target: { server: given.url, token, from: given.from } };
    // Invariant 2: only a context for this very server lends its token.
    const contexts = await input.contexts();
    const same = contexts.ok ? contextFor(contexts.value.contexts, given.url) : undefined;
    return {
      ok: true,
      target: {
        server: given.url,
        from: given.from,
        ...(same?.token ? { token: same.token } : {}),
      },
    };
  }

  const contexts = await input.contexts();
  if (!contexts.ok) return contexts;
  const name = given.context ?? contexts.value.current;
  if (name === undefined) return { ok: false, message: NO_SERVER };
  const context = contexts.value.contexts[name];
  if (!context) {
    const known = Object.keys(contexts.value.contexts).join(", ") || "none";
    return {
      ok: false,
      message:
        `there is no context "${name}"\nchoose one that is known: ${known}\nsee them: berth context ls`,
    };
  }
  const token = flags.token ?? env.token ?? context.token;
  return {
    ok: true,
    target: { server: context.server, from: `context ${name}`, ...(token ? { token } : {}) },
  };
}

const NO_SERVER = "no server is known\nstart one here: deno task dev\n" +
  "or name one: --server URL, BERTH_SERVER and BERTH_TOKEN, or berth context set NAME --server URL";

type Choice =
  | { kind: "url"; url: string; from: string }
  | { kind: "context"; context: string | undefined };

function chooseServer(flags: ConnectInput["flags"], env: ConnectInput["env"]): Choice {
  if (flags.server) return { kind: "url", url: flags.server, from: "--server" };
  if (flags.context) return { kind: "context", context: flags.context };
  if (env.server) return { kind: "url", url: env.server, from: "BERTH_SERVER" };
  return { kind: "context", context: env.context };
}

function checkUrl(url: string, from: string): { ok: true } | { ok: false; message: string } {
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? "")) return { ok: true };
  return {
    ok: false,
    message: `${from} must be a URL like http://127.0.0.1:7070, but is "${url}"`,
  };
}

function contextFor(contexts: Record<string, Context>, url: string): Context | undefined {
  const origin = new URL(url).origin;
  return Object.values(contexts).find((context) => URL.parse(context.server)?.origin === origin);
}

/** `$XDG_CONFIG_HOME/berth/contexts.json`, or below `~/.config`. */
export function contextsPath(env: (name: string) => string | undefined): string {
  const base = env("XDG_CONFIG_HOME") || `${env("HOME") ?? "."}/.config`;
  return `${base}/berth/contexts.json`;
}
