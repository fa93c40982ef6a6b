/**
 * `berth cp`: files out of a task's container and into it, as `docker cp` has it:
 *
 * - A file goes to the name that is given, or into the directory that is there.
 * - A directory becomes the name that is given; where a directory is, it goes into it, unless the source
 *   ends with `/.`: then what is in it does.
 * - Directories on the way to the destination must be there. `-` is a tar on standard input or output.
 *
 * @module
 */
import { FileAnswer, type FileStat } from "../../kv/schema/inside.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { contentWindow, giveContent, takeContent } from "../content.ts";
import { extract, isFileError, lstat } from "../copy/extract.ts";
import { pack, PackError } from "../copy/pack.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { oneLine } from "../format/style.ts";
import { fail, failCall, hint } from "../report.ts";
import { openTunnel } from "../tunnel.ts";

export interface CpFlags {
  archive: boolean;
  followLink: boolean;
  project: string | undefined;
}

/** `TASK:PATH`, or undefined for a path of this machine. */
export function parsePlace(text: string): { ref: string; path: string } | undefined {
  const match = /^([a-z0-9][a-z0-9./-]*):(.+)$/.exec(text);
  if (!match || /^\.{0,2}\//.test(text)) return undefined;
  const [, ref = "", path = ""] = match;
  return { ref, path: path.startsWith("/") ? path : `/${path}` };
}

export async function cp(
  flags: CpFlags,
  [from = "", to = ""]: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const [source, target] = [parsePlace(from), parsePlace(to)];
  if ((source === undefined) === (target === undefined)) {
    const what = source ? "both are in containers" : "none is in a container";
    const next = "one of the two is TASK:PATH: berth cp web.1:/etc/hosts .";
    return fail(deps, `cannot copy: ${what}`, next, EXIT.usage);
  }
  const place = source ?? target;
  if (!place) return EXIT.usage;
  const task = await taskOf(place.ref, flags, deps);
  if (typeof task === "number") return task;
  const failed = (message: string) => {
    const doing = source ? `cannot copy ${from}` : `cannot copy to ${to}`;
    const next = `see how the task is: berth describe ${task.name}`;
    return fail(deps, `${doing}: ${oneLine(message)}`, next, EXIT.failed);
  };
  try {
    const message = source
      ? await download({ task, path: place.path, to, flags }, deps)
      : await upload({ task, path: place.path, from, flags }, deps);
    return message === undefined ? EXIT.ok : failed(message);
  } catch (error) {
    if (error instanceof PackError || isFileError(error)) return failed((error as Error).message);
    throw error;
  }
}

async function taskOf(
  ref: string,
  { project }: CpFlags,
  deps: ServerDeps,
): Promise<TaskView | ExitCode> {
  const found = await findTaskOrService(deps.client, ref, project);
  if (!found.ok) return failCall(deps, found.error, `cannot copy from or to ${ref}`);
  if (found.value.kind === "task") return found.value.task;
  const { tasks } = found.value;
  const task = tasks.find(({ state }) => state === "running") ?? tasks.at(-1);
  if (task) return task;
  return fail(deps, `${ref} has no task`, `see why: berth why ${ref}`, EXIT.notFound);
}

interface Download {
  task: TaskView;
  path: string;
  to: string;
  flags: CpFlags;
}

/** Answers what went wrong. */
async function download({ task, path, to, flags }: Download, deps: ServerDeps) {
  const looked = await stat(task, path, deps);
  if (!looked.ok) return looked.message;
  let [from, found] = [path, looked.found];
  if (!found) return `there is no ${path} in the container`;
  if (found.type === "link" && flags.followLink && found.target !== undefined) {
    from = ledTo(path, found.target);
    const led = await stat(task, from, deps);
    if (!led.ok) return led.message;
    if (!led.found) return `${path} leads to ${from}, which is not there`;
    found = led.found;
  }
  const { root, message } = to === "-" ? { root: "", message: undefined } : await rootFor(
    to,
    { isDirectory: found.type === "directory", name: baseOf(path), contents: endsInDot(path) },
  );
  if (message !== undefined) return message;
  const tunnel = openTunnel(deps.client.openFiles(task.id, { action: "read", path: trim(from) }));
  try {
    if (to === "-") {
      if (deps.io.outIsTty) return "a tar is not for a terminal: give a path, or redirect it";
      return await takeContent(tunnel, (data) => Promise.resolve(deps.io.outBytes(data)));
    }
    const content = new TransformStream<Uint8Array, Uint8Array>();
    const writer = content.writable.getWriter();
    const taking = takeContent(tunnel, (data) => writer.write(data))
      .catch(() => "given up").finally(() => writer.close().catch(() => {}));
    const done = await extract(content.readable, {
      root,
      strip: trim(from) !== "/",
      keepOwners: flags.archive,
    });
    if (!done.ok) tunnel.close();
    const broke = await taking;
    if (!done.ok) return broke === undefined || broke === "given up" ? done.message : broke;
    if (broke !== undefined) return broke;
    const { skipped } = done.value;
    if (skipped.length > 0) hint(deps, `Left out, since they are devices: ${skipped.join(", ")}`);
    return undefined;
  } finally {
    tunnel.close();
  }
}

/** What the root of the archive becomes here. */
async function rootFor(
  to: string,
  source: { isDirectory: boolean; name: string; contents: boolean },
): Promise<{ root: string; message?: undefined } | { root: ""; message: string }> {
  const here = await Deno.stat(to).catch(() => undefined);
  if (here?.isDirectory) {
    const inside = source.contents && source.isDirectory;
    return { root: inside ? to : `${to.replace(/\/+$/, "")}/${source.name}` };
  }
  if (here && source.isDirectory) return { root: "", message: `${to} is a file, not a directory` };
  const bare = to.replace(/\/+$/, "");
  if (!here && to.endsWith("/") && !source.isDirectory) {
    return { root: "", message: `there is no directory ${to}` };
  }
  const parent = parentOf(bare);
  const above = await Deno.stat(parent).catch(() => undefined);
  if (!above?.isDirectory) return { root: "", message: `there is no directory ${parent}` };
  return { root: bare };
}

interface Upload {
  task: TaskView;
  path: string;
  from: string;
  flags: CpFlags;
}

async function upload({ task, path, from, flags }: Upload, deps: ServerDeps) {
  const there = await stat(task, path, deps);
  if (!there.ok) return there.message;
  let directory = path;
  let type = there.found?.type;
  if (type === "link" && there.found?.target !== undefined) {
    directory = ledTo(path, there.found.target);
    const led = await stat(task, directory, deps);
    if (!led.ok) return led.message;
    type = led.found?.type;
  }
  if (from === "-") {
    if (type !== "directory") return `there is no directory ${path} in the container`;
    return await send(task, directory, deps.io.input(), deps);
  }
  const here = await (flags.followLink ? Deno.stat(from).catch(() => undefined) : lstat(from));
  if (!here) return `there is no ${from} here`;
  const packing = {
    follow: flags.followLink || (here.isSymlink && from.endsWith("/")),
    keepOwners: flags.archive,
  };
  const isDirectory = here.isDirectory;
  if (type === "directory") {
    const name = endsInDot(from) && isDirectory ? "" : baseOf(await Deno.realPath(from), from);
    return await send(task, directory, pack(from, { name, ...packing }), deps);
  }
  if (type !== undefined && isDirectory) return `${path} is a file in the container`;
  if (type === undefined && path.endsWith("/") && !isDirectory) {
    return `there is no directory ${path} in the container`;
  }
  const target = trim(directory);
  return await send(
    task,
    parentOf(target),
    pack(from, { name: baseOf(target), ...packing }),
    deps,
  );
}

async function send(
  task: TaskView,
  path: string,
  content: AsyncIterable<Uint8Array>,
  { client }: ServerDeps,
): Promise<string | undefined> {
  const window = contentWindow();
  const socket = client.openFiles(task.id, { action: "write", path });
  const tunnel = openTunnel(socket, { onAck: window.taken });
  try {
    return await giveContent(tunnel, content, window, () => {});
  } finally {
    tunnel.close();
  }
}

type Looked = { ok: true; found?: FileStat | undefined } | { ok: false; message: string };

async function stat(task: TaskView, path: string, { client }: ServerDeps): Promise<Looked> {
  const tunnel = openTunnel(client.openFiles(task.id, { action: "stat", path: trim(path) }));
  let text = "";
  try {
    const message = await takeContent(tunnel, (data) => {
      text += new TextDecoder().decode(data);
      return Promise.resolve();
    });
    if (message !== undefined) return { ok: false, message };
    return { ok: true, found: FileAnswer.parse(JSON.parse(text)).found };
  } finally {
    tunnel.close();
  }
}

function ledTo(path: string, target: string): string {
  return target.startsWith("/") ? target : `${parentOf(trim(path))}/${target}`;
}

function endsInDot(path: string): boolean {
  return path === "." || path.endsWith("/.");
}

/** Without what stands at the end for the directory itself. */
function trim(path: string): string {
  return path.replace(/(\/\.?)+$/, "") || "/";
}

function baseOf(path: string, given = path): string {
  const bare = trim(given);
  const name = bare.slice(bare.lastIndexOf("/") + 1);
  const real = trim(path);
  return name === "" || name === "." || name === ".."
    ? real.slice(real.lastIndexOf("/") + 1)
    : name;
}

function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : path.slice(0, at) || "/";
}
