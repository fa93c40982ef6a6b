/**
 * `berth volume …`: named volumes, and what is in them to and from a file.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { VolumeView } from "../../kv/schema/volume.ts";
import { contentWindow, giveContent, takeContent } from "../content.ts";
import type { FileSink, ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { age } from "../format/duration.ts";
import { qualified } from "../format/state.ts";
import { startProgress } from "../progress.ts";
import { asked, fail, failCall, printList, printValue } from "../report.ts";
import { openTunnel } from "../tunnel.ts";

export interface VolumeOptions {
  project: string | undefined;
}

export interface CopyOptions extends VolumeOptions {
  node: string | undefined;
}

export async function list({ project }: VolumeOptions, deps: ServerDeps): Promise<ExitCode> {
  const listed = await listAll((query) =>
    deps.client.listVolumes({ ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!listed.ok) return failCall(deps, listed.error, "cannot list volumes");
  const nowMs = deps.clock.wallMs();
  return await printList(deps, {
    rows: listed.value,
    columns: [
      { header: "NAME", cell: (one) => qualified(one.project, one.name), minWidth: 8 },
      { header: "NODE", cell: whereOf, minWidth: 8 },
      { header: "USED BY", cell: (one) => one.usedBy.join(", "), minWidth: 8, drop: 1 },
      { header: "DRIVER", cell: (one) => one.driver ?? "local", drop: 3 },
      { header: "AGE", cell: (one) => age(nowMs - Date.parse(one.createdAt)), drop: 2 },
      { header: "ON THE ENGINE", cell: (one) => one.engineName, wide: true },
    ],
    name: (one) => qualified(one.project, one.name),
    empty: "No volumes. Services make them: mounts of their template with a name.",
  });
}

function whereOf({ nodes, shared }: VolumeView): string {
  if (shared) return "any";
  return nodes.length === 0 ? "none yet" : nodes.map(({ node }) => node).join(", ");
}

export async function inspect(
  options: VolumeOptions,
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await find(ref, options, deps);
  if (!found.ok) return failCall(deps, found.error, `cannot inspect volume ${ref}`);
  await printValue(deps, found.value, deps.view.output === "yaml" ? "yaml" : "json");
  return EXIT.ok;
}

function find(
  ref: string,
  options: VolumeOptions,
  { client }: ServerDeps,
): Promise<Result<VolumeView>> {
  const { name, project } = refOf(ref, options.project);
  return client.getVolume(name, project);
}

/** With what is in them. Asks at a terminal, unless forced. */
export async function remove(
  options: VolumeOptions & { force: boolean },
  refs: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const { force } = options;
  let worst: ExitCode = EXIT.ok;
  for (const ref of refs) {
    const { name, project } = refOf(ref, options.project);
    const question = `Remove volume ${ref} and everything in it?`;
    if (!force && asked(deps, question) === "no") continue;
    const query = { ...(project === undefined ? {} : { project }), ...(force ? { force } : {}) };
    const gone = await deps.client.deleteVolume(name, query);
    if (gone.ok) deps.io.out(`${ref}\n`);
    else {
      const code = failCall(deps, gone.error, `cannot remove volume ${ref}`);
      if (worst === EXIT.ok) worst = code;
    }
  }
  return worst;
}

/** Into a file that has its name only once it is complete, or to standard output. */
export async function backup(
  options: CopyOptions,
  [ref = "", path = "-"]: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  if (path === "-" && deps.io.outIsTty) {
    const next = `berth volume backup ${ref} ${ref}.tar`;
    return fail(deps, "a tar is not for a terminal: give a file", next, EXIT.usage);
  }
  const found = await find(ref, options, deps);
  if (!found.ok) return failCall(deps, found.error, `cannot back up volume ${ref}`);
  let sink: FileSink;
  try {
    sink = path === "-" ? standardOutput(deps) : await deps.createFile(path);
  } catch (error) {
    const next = "give a path that can be written";
    return fail(deps, `cannot write ${path}: ${messageOf(error)}`, next, EXIT.usage);
  }
  const progress = startProgress(deps, `reading volume ${ref}`);
  const tunnel = openTunnel(deps.client.openBackup(found.value.id, askOf(options)));
  let ended: string | undefined;
  try {
    ended = await takeContent(
      tunnel,
      (data) => sink.write(data),
      (bytes) => progress.update(`${ref}: ${sizeOf(bytes)} read`),
    );
    if (ended === undefined) await sink.commit();
  } catch (error) {
    ended = `cannot write ${path}: ${messageOf(error)}`;
  } finally {
    tunnel.close();
    progress.stop();
    if (ended !== undefined) await sink.discard();
  }
  if (ended === undefined) return EXIT.ok;
  return fail(deps, `the backup of ${ref} failed: ${ended}`, "nothing was kept of it", EXIT.failed);
}

export async function restore(
  options: CopyOptions,
  [ref = "", path = "-"]: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await find(ref, options, deps);
  if (!found.ok) return failCall(deps, found.error, `cannot restore volume ${ref}`);
  if (asked(deps, `Write over what is in volume ${ref}?`) === "no") return EXIT.ok;
  let content: ReadableStream<Uint8Array>;
  try {
    content = path === "-" ? deps.io.input() : await deps.openFile(path);
  } catch (error) {
    const next = "give a tar that can be read, or - for standard input";
    return fail(deps, `cannot read ${path}: ${messageOf(error)}`, next, EXIT.usage);
  }
  const progress = startProgress(deps, `writing volume ${ref}`);
  const window = contentWindow();
  const socket = deps.client.openRestore(found.value.id, askOf(options));
  const tunnel = openTunnel(socket, { onAck: window.taken });
  try {
    const onBytes = (bytes: number) => progress.update(`${ref}: ${sizeOf(bytes)} written`);
    const ended = await giveContent(tunnel, content, window, onBytes);
    if (ended === undefined) return EXIT.ok;
    const next = "part of it may be written: repeat it when the reason is gone";
    return fail(deps, `the restore of ${ref} failed: ${ended}`, next, EXIT.failed);
  } finally {
    tunnel.close();
    progress.stop();
  }
}

function askOf({ node }: CopyOptions): { node?: string } {
  return node === undefined ? {} : { node };
}

function standardOutput({ io }: ServerDeps): FileSink {
  return {
    write: (data) => Promise.resolve(io.outBytes(data)),
    commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  };
}

function sizeOf(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
