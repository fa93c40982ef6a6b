/**
 * An image made on the spot from this machine's static busybox, where nothing can be pulled: for the
 * sample of the demo and for tests.
 *
 * @module
 */
import { Readable } from "node:stream";
import type { Outcome } from "../runtime.ts";
import { ask, connectEngine, type Engine, readable, refused } from "./client.ts";
import type { EngineConnection } from "./connect.ts";
import { bytesOf, jsonLines } from "./streams.ts";
import { joined, TAR_END, tarEntry } from "../../kv/schema/tar.ts";

export interface OfflineImage {
  /** Name and tag, like `berth-sample:1`. */
  tag: string;
  /** The image's command. */
  cmd: readonly string[];
  /** Text files by absolute path. Executable when they start with `#!`. */
  files?: Readonly<Record<string, string>>;
  signal: AbortSignal;
  /** Where busybox may be. */
  busyboxPaths?: readonly string[];
}

const BUSYBOX_PATHS = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
const APPLETS = (
  "sh ash cat cp date echo env false grep hostname httpd id kill killall ls mkdir mv nc nslookup ping " +
  "printf ps pwd rm sed seq sleep stty tail test top touch tr true tty uname wget yes"
).split(" ");

/** Imports the image, replacing an earlier one of the same tag. Reads busybox and one socket. */
export async function importBusyboxImage(
  connection: EngineConnection,
  { tag, cmd, files = {}, signal, busyboxPaths = BUSYBOX_PATHS }: OfflineImage,
): Promise<Outcome> {
  const busybox = await readBusybox(busyboxPaths);
  if (!busybox.ok) return busybox;
  const client = connectEngine(connection);
  try {
    const tar = imageTar(busybox.value, files);
    return await importTar(
      client.docker,
      { tag, tar, changes: [`CMD ${JSON.stringify(cmd)}`] },
      signal,
    );
  } finally {
    client.close();
  }
}

/** Makes an image of what is in an archive, replacing an earlier one of the same tag. */
export async function importTar(
  docker: Engine,
  { tag, tar, changes = [] }: { tag: string; tar: Uint8Array; changes?: readonly string[] },
  signal: AbortSignal,
): Promise<Outcome> {
  const [repo, version = "latest"] = tag.split(":");
  const answer = await ask(
    "import",
    signal,
    (abortSignal) =>
      docker.importImage(Readable.from([tar]), {
        ...{ repo, tag: version, abortSignal },
        ...(changes.length > 0 ? { changes: changes.join("\n") } : {}),
      }),
  );
  if (!answer.ok) return answer;
  let error: string | undefined;
  for await (
    const line of jsonLines<{ error?: string }>(bytesOf(readable(answer.value), signal))
  ) {
    error ??= line.error;
  }
  return error === undefined ? { ok: true, value: undefined } : refused(`import: ${error}`);
}

async function readBusybox(paths: readonly string[]): Promise<Outcome<Uint8Array>> {
  for (const path of paths) {
    let binary: Uint8Array;
    try {
      binary = await Deno.readFile(path);
    } catch {
      continue;
    }
    if (isStaticElf(binary)) return { ok: true, value: binary };
  }
  return refused(
    `no static busybox at ${
      paths.join(", ")
    }: install one (Debian: apt-get install busybox-static)`,
  );
}

/** True for a 64-bit little-endian ELF file that asks for no program interpreter. */
export function isStaticElf(binary: Uint8Array): boolean {
  const view = new DataView(binary.buffer, binary.byteOffset, binary.byteLength);
  if (binary.length < 64 || view.getUint32(0) !== 0x7f454c46 || binary[4] !== 2) return false;
  const tableAt = Number(view.getBigUint64(32, true));
  const entryBytes = view.getUint16(54, true);
  const entries = view.getUint16(56, true);
  const INTERPRETER = 3;
  for (let i = 0; i < entries; i++) {
    const at = tableAt + i * entryBytes;
    if (at + 4 > binary.length || view.getUint32(at, true) === INTERPRETER) return false;
  }
  return true;
}

function imageTar(busybox: Uint8Array, files: Readonly<Record<string, string>>) {
  return joined([
    tarEntry({ name: "bin/", type: "directory", mode: 0o755 }),
    tarEntry({ name: "tmp/", type: "directory", mode: 0o1777 }),
    tarEntry({ name: "bin/busybox", type: "file", mode: 0o755, data: busybox }),
    ...APPLETS.map((name) =>
      tarEntry({ name: `bin/${name}`, type: "link", mode: 0o777, target: "busybox" })
    ),
    ...Object.entries(files).map(([path, text]) =>
      tarEntry({
        name: path.replace(/^\//, ""),
        type: "file",
        mode: text.startsWith("#!") ? 0o755 : 0o644,
        data: new TextEncoder().encode(text),
      })
    ),
    TAR_END,
  ]);
}
