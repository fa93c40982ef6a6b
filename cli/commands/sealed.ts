/**
 * `berth secret …` and `berth config …`: named values that tasks get as files.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import { decodeBase64, encodeBase64 } from "../../kv/schema/base64.ts";
import { MAX_VALUE_BYTES, type SealedKind, type SealedView } from "../../kv/schema/sealed.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { age } from "../format/duration.ts";
import { qualified } from "../format/state.ts";
import { readBytes } from "../input.ts";
import { asked, fail, failCall, hint, printList, printValue } from "../report.ts";

export interface SealedOptions {
  project: string | undefined;
}

/** The calls of one kind. */
function callsOf({ client }: ServerDeps, kind: SealedKind) {
  return kind === "secret"
    ? {
      list: client.listSecrets,
      get: client.getSecret,
      create: client.createSecret,
      rotate: client.rotateSecret,
      remove: client.deleteSecret,
    }
    : {
      list: client.listConfigs,
      get: client.getConfig,
      create: client.createConfig,
      rotate: client.rotateConfig,
      remove: client.deleteConfig,
    };
}

export async function create(
  kind: SealedKind,
  options: SealedOptions & { label: [string, string][] },
  [ref = "", path]: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const data = await readValue(kind, "create", path, deps);
  if (typeof data === "number") return data;
  const { name, project } = refOf(ref, options.project);
  const labels = Object.fromEntries(options.label);
  const made = await callsOf(deps, kind).create({
    ...{ name, labels, data },
    ...(project === undefined ? {} : { project }),
  }, { idempotencyKey: newKey(deps) });
  return told(deps, made, `cannot create ${kind} ${ref}`);
}

export async function rotate(
  kind: SealedKind,
  options: SealedOptions,
  [ref = "", path]: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const data = await readValue(kind, "rotate", path, deps);
  if (typeof data === "number") return data;
  const { name, project } = refOf(ref, options.project);
  const { rotate } = callsOf(deps, kind);
  const done = await rotate(name, { data }, project, { idempotencyKey: newKey(deps) });
  if (done.ok && done.value.usedBy.length > 0) {
    hint(deps, `Version ${done.value.version} goes to ${done.value.usedBy.join(", ")}: berth ps`);
  }
  return told(deps, done, `cannot rotate ${kind} ${ref}`);
}

function told(deps: ServerDeps, result: Result<SealedView>, doing: string): ExitCode {
  if (!result.ok) return failCall(deps, result.error, doing);
  deps.io.out(`${result.value.name}\n`);
  return EXIT.ok;
}

/** In base64, or the exit code when it cannot be read. */
async function readValue(
  kind: SealedKind,
  command: string,
  path: string | undefined,
  deps: ServerDeps,
): Promise<string | ExitCode> {
  if (path === undefined && deps.io.inIsTty) {
    const next = `berth ${kind} ${command} NAME FILE\n` +
      `printf %s "$VALUE" | berth ${kind} ${command} NAME`;
    return fail(deps, `there is no value: give a file, or pipe it in`, next, EXIT.usage);
  }
  const read = await readBytes(path ?? "-", deps, MAX_VALUE_BYTES);
  if (read.ok) return encodeBase64(read.bytes);
  return fail(deps, read.message, "nothing was changed", EXIT.usage);
}

export async function list(
  kind: SealedKind,
  { project }: SealedOptions,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { list } = callsOf(deps, kind);
  const listed = await listAll((query) =>
    list({ ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!listed.ok) return failCall(deps, listed.error, `cannot list ${kind}s`);
  const nowMs = deps.clock.wallMs();
  return await printList(deps, {
    rows: listed.value,
    columns: [
      { header: "NAME", cell: (one) => qualified(one.project, one.name), minWidth: 8 },
      { header: "VERSION", cell: (one) => String(one.version) },
      { header: "USED BY", cell: (one) => one.usedBy.join(", "), minWidth: 8, drop: 1 },
      { header: "CHANGED", cell: (one) => age(nowMs - Date.parse(one.updatedAt)), drop: 2 },
      { header: "ID", cell: (one) => one.id, wide: true },
    ],
    name: (one) => qualified(one.project, one.name),
    empty: `No ${kind}s. Make one: berth ${kind} create NAME FILE`,
  });
}

export async function inspect(
  kind: SealedKind,
  options: SealedOptions & { value?: boolean },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  if (options.value) return await printConfig(name, project, deps);
  const found = await callsOf(deps, kind).get(name, project);
  if (!found.ok) return failCall(deps, found.error, `cannot inspect ${kind} ${ref}`);
  await printValue(deps, found.value, deps.view.output === "yaml" ? "yaml" : "json");
  return EXIT.ok;
}

async function printConfig(
  name: string,
  project: string | undefined,
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await deps.client.getConfigValue(name, project === undefined ? {} : { project });
  if (!found.ok) return failCall(deps, found.error, `cannot read config ${name}`);
  deps.io.outBytes(decodeBase64(found.value.data) ?? new Uint8Array());
  return EXIT.ok;
}

export async function remove(
  kind: SealedKind,
  options: SealedOptions,
  refs: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  let worst: ExitCode = EXIT.ok;
  for (const ref of refs) {
    const { name, project } = refOf(ref, options.project);
    if (asked(deps, `Remove ${kind} ${ref} and all its versions?`) === "no") continue;
    const gone = await callsOf(deps, kind).remove(name, project);
    if (gone.ok) deps.io.out(`${ref}\n`);
    else {
      const code = failCall(deps, gone.error, `cannot remove ${kind} ${ref}`);
      if (worst === EXIT.ok) worst = code;
    }
  }
  return worst;
}

function newKey({ random }: ServerDeps): string {
  return `cli-${Math.floor(random() * 2 ** 48).toString(36)}`;
}
