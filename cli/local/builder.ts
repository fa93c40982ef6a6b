/**
 * Building images with this machine's engine, by its HTTP API over its socket.
 *
 * @module
 */
import { z } from "zod";
import type { BuildPlan } from "../compose/map/build.ts";
import type { Builder, Looked } from "../deps.ts";
import { engineSockets } from "../../kv/schema/engine_socket.ts";
import { oneLine } from "../format/style.ts";
import { readContext } from "./context.ts";

/** Docker 20.10 and everything since, Podman included. */
const API = "http://engine/v1.41";
const LOOK_MS = 10_000;

const Line = z.object({
  stream: z.string().optional(),
  error: z.string().optional(),
  aux: z.object({ ID: z.string().optional() }).optional(),
});
const Image = z.object({ Id: z.string() });

/** Undefined when no engine is local: none was found, or DOCKER_HOST names another machine. */
export async function findBuilder(
  env: (name: string) => string | undefined,
  exists: (path: string) => Promise<boolean>,
): Promise<Builder | undefined> {
  const host = env("DOCKER_HOST");
  if (host) {
    return host.startsWith("unix:///") ? builderAt(host.slice("unix://".length)) : undefined;
  }
  for (const { path } of engineSockets(env)) if (await exists(path)) return builderAt(path);
  return undefined;
}

/** The engine behind a socket. */
export function builderAt(path: string): Builder {
  const client = () => Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const builder: Builder = {
    where: path,
    async imageId(image, signal) {
      using http = client();
      try {
        const answer = await fetch(`${API}/images/${image}/json`, {
          client: http,
          signal: AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]),
        });
        const text = await answer.text();
        if (answer.status === 404) return { ok: true, id: undefined };
        if (!answer.ok) return { ok: false, message: problemIn(text) };
        return { ok: true, id: Image.parse(JSON.parse(text)).Id };
      } catch (error) {
        return { ok: false, message: messageOf(error) };
      }
    },
    async build(plan, { signal, onLine }) {
      using http = client();
      try {
        const { url, body } = await requestOf(plan);
        const answer = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/x-tar" },
          client: http,
          signal,
          ...(body ? { body: ReadableStream.from(body) } : {}),
        });
        if (!answer.ok || !answer.body) {
          return { ok: false, message: problemIn(await answer.text()) };
        }
        const built = await follow(answer.body, onLine);
        if (!built.ok) return built;
        // Podman does not say the id.
        const { id } = built;
        const made = id === undefined ? await builder.imageId(plan.image, signal) : built;
        if (!made.ok) return made;
        return made.id === undefined
          ? { ok: false, message: "the engine broke off without an image" }
          : { ok: true, id: made.id };
      } catch (error) {
        return { ok: false, message: messageOf(error) };
      }
    },
  };
  return builder;
}

async function requestOf(plan: BuildPlan) {
  const { context } = plan;
  const dir = "dir" in context ? context.dir : undefined;
  if ("remote" in context && "text" in plan.dockerfile) {
    throw new Error("dockerfile_inline goes with a context on this machine only");
  }
  const { dockerfile, archive } = await readContext(dir, plan.dockerfile);
  const query = new URLSearchParams([
    ...plan.query,
    ["dockerfile", dockerfile],
    ["rm", "1"],
    ["forcerm", "1"],
    ...("remote" in context ? [["remote", context.remote]] : []),
  ]);
  return { url: `${API}/build?${query}`, ...(dir === undefined ? {} : { body: archive() }) };
}

/** Reads what the engine says until it is done; a failure comes in the middle of a good answer. */
async function follow(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (text: string) => void,
): Promise<Looked> {
  let id: string | undefined;
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      const parsed = Line.safeParse(JSON.parse(line));
      if (!parsed.success) continue;
      const { stream, error, aux } = parsed.data;
      if (error !== undefined) return { ok: false, message: oneLine(error) };
      if (aux?.ID !== undefined) id = aux.ID;
      for (const said of (stream ?? "").split("\n")) if (said.trim() !== "") onLine(said.trim());
    }
  }
  return { ok: true, id };
}

function problemIn(text: string): string {
  try {
    const { message } = z.object({ message: z.string() }).parse(JSON.parse(text));
    return oneLine(message);
  } catch {
    return oneLine(text.trim() || "the engine refused it and said nothing");
  }
}

function messageOf(error: unknown): string {
  // Arguments of a build may be secret, and are in the address.
  const whole = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  const text = whole instanceof Error ? whole.message : String(whole);
  return oneLine(text.replaceAll(/(for url \()?http:\/\/engine[^\s)]*\)?/g, "to the engine"));
}
