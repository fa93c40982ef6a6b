/**
 * `berth run`: starts a service, or runs one job in the foreground.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode, exitOf } from "../exit.ts";
import { parseEnvFile } from "../format/quantity.ts";
import { qualified } from "../format/state.ts";
import { fail, failCall, hint, naming, printValue } from "../report.ts";
import { type RunOptions, runSpec } from "../run_spec.ts";
import { flagOfField } from "../spec_check.ts";
import { attach } from "./attach.ts";

export type { RunOptions };

const MAX_NAME_TRIES = 4;
const MAX_SENDS = 3;

export async function run(
  options: RunOptions & { envFile: string[] },
  image: string,
  command: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  if (options.interactive && options.tty && !options.detach && !deps.io.inIsTty) {
    return fail(
      deps,
      "-t needs a terminal on standard input, and there is none",
      "leave out -t: berth run -i …",
      EXIT.usage,
    );
  }
  const fromFiles = await readEnvFiles(options.envFile, deps);
  if (!fromFiles.ok) return fail(deps, fromFiles.message, USAGE, EXIT.usage);
  const full = { ...options, env: [...fromFiles.value, ...options.env] };
  const created = await createUnderName(full, image, command, deps);
  if (created.kind === "usage") return fail(deps, created.message, USAGE, EXIT.usage);
  if (!created.result.ok) {
    const { error } = created.result;
    const name = options.name ?? "the service";
    const fields = error.kind === "problem" ? error.problem.errors ?? [] : [];
    const taken = exitOf(error) === EXIT.conflict && fields.length === 0
      ? `choose another --name, or remove that one: berth rm -f ${name}`
      : undefined;
    const code = failCall(deps, naming(error, flagOfField), `cannot create ${name}`, taken);
    return options.detach || code === EXIT.usage ? exitOf(error) : EXIT.own;
  }
  const service = created.result.value;
  if (!options.detach) return await attach(service, options, deps);

  const name = qualified(service.project, service.name);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") await printValue(deps, service, output);
  else deps.io.out(name + "\n");
  hint(deps, `See it come up: berth ps ${service.name}`);
  return EXIT.ok;
}

const USAGE = "see what it takes: berth run --help";

async function readEnvFiles(paths: string[], deps: ServerDeps) {
  const pairs: [string, string][] = [];
  for (const path of paths) {
    let text: string;
    try {
      text = await deps.readTextFile(path);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { ok: false as const, message: `--env-file: cannot read ${path}: ${why}` };
    }
    const parsed = parseEnvFile(text);
    if (!parsed.ok) return { ok: false as const, message: `--env-file ${path}: ${parsed.message}` };
    pairs.push(...parsed.value);
  }
  return { ok: true as const, value: pairs };
}

type Created = { kind: "usage"; message: string } | { kind: "sent"; result: Result<ServiceView> };

/** Creates the service; a generated name that happens to be taken is generated anew. */
async function createUnderName(
  options: RunOptions,
  image: string,
  command: string[],
  deps: ServerDeps,
): Promise<Created> {
  for (let tries = 1;; tries++) {
    const spec = runSpec(options, image, command, deps.random);
    if (!spec.ok) return { kind: "usage", message: spec.message };
    const result = await send(spec.value, deps);
    const taken = !result.ok && exitOf(result.error) === EXIT.conflict;
    if (!taken || options.name !== undefined || tries >= MAX_NAME_TRIES) {
      return { kind: "sent", result };
    }
  }
}

/** Sends it with one key, so that a repeated request after a lost answer creates nothing twice. */
async function send(spec: ServiceSpecInput, deps: ServerDeps): Promise<Result<ServiceView>> {
  const idempotencyKey = `cli-${spec.name}-${Math.floor(deps.random() * 2 ** 48).toString(36)}`;
  for (let sends = 1;; sends++) {
    const result = await deps.client.createService(spec, { idempotencyKey });
    const lost = !result.ok && result.error.kind === "unreachable" &&
      !result.error.message.includes("refused");
    if (!lost || sends >= MAX_SENDS) return result;
  }
}
