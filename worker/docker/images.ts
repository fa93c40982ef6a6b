/**
 * Making images present.
 *
 * @module
 */
import { DEFAULT_REGISTRY, Digest, parseImage } from "../../kv/schema/registry.ts";
import type { Login } from "../images.ts";
import type { EngineFailure, Outcome, PullPolicy } from "../runtime.ts";
import { ask, type Engine, readable, refused } from "./client.ts";
import { createPullProgress, type PullLine } from "./pull_progress.ts";
import { bytesOf, jsonLines } from "./streams.ts";

/** What the engine says when asking again will not help. */
const FINAL =
  /not found|manifest unknown|denied|unauthorized|authentication required|invalid reference|does not exist|no matching manifest|no basic auth/i;

/** Pulls `image` as `policy` says. */
export async function pullImage(
  docker: Engine,
  image: string,
  { policy, signal, onProgress, login }: {
    policy: PullPolicy;
    signal: AbortSignal;
    onProgress?: (text: string) => void;
    login?: Login | undefined;
  },
): Promise<Outcome> {
  if (policy !== "always") {
    const found = await lookUp(docker, image, signal);
    if (found.ok) return { ok: true, value: undefined };
    if (found.status !== 404) return failure(found.kind, found.message);
    if (policy === "never") {
      return refused(`image ${image} is not on this node and the pull policy is never`);
    }
  }
  const answer = await ask(
    "pull",
    signal,
    (abortSignal) => docker.pull(image, { abortSignal, ...authOf(login) }),
  );
  if (!answer.ok) return pullFailure(image, answer.message, answer.kind);
  const progress = createPullProgress();
  // The whole stream is read: the engine ends the pull when its client hangs up.
  for await (const line of jsonLines<PullLine>(bytesOf(readable(answer.value), signal))) {
    if (line.error !== undefined) return pullFailure(image, line.error);
    const text = progress(line);
    if (text !== undefined) onProgress?.(text);
  }
  if (signal.aborted) return failure("unavailable", `pull ${image}: not done before the deadline`);
  // A connection that broke looks like an end, so that the image is there is looked up.
  const pulled = await lookUp(docker, image, signal);
  if (pulled.ok) return { ok: true, value: undefined };
  return failure("unavailable", `pull ${image}: ${pulled.message}`);
}

/** The digest under which this machine has the image; a copy that was made here has none. */
export async function localDigest(
  docker: Engine,
  image: string,
  signal: AbortSignal,
): Promise<Outcome<{ digest: string | undefined } | undefined>> {
  const found = await lookUp(docker, image, signal);
  if (!found.ok) {
    if (found.status === 404) return { ok: true, value: undefined };
    return failure(found.kind, found.message);
  }
  const { repository } = parseImage(image);
  const digests = (found.value as { RepoDigests?: string[] | null }).RepoDigests ?? [];
  const own = digests.map((text) => text.split("@"))
    .find(([name = ""]) => sameRepository(name, repository));
  return { ok: true, value: { digest: Digest.safeParse(own?.[1]).data } };
}

/** The engine writes names of the default registry short. */
function sameRepository(a: string, b: string): boolean {
  const short = (name: string) =>
    name.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
  return short(a) === short(b);
}

/** The library puts it into a header, and takes it out of the address and the body. */
function authOf(login: Login | undefined) {
  if (!login) return {};
  const { host, username, password } = login;
  // Engines know their default registry by this address, and by it alone.
  const serveraddress = host === DEFAULT_REGISTRY ? "https://index.docker.io/v1/" : host;
  return { authconfig: { serveraddress, username, password } };
}

function lookUp(docker: Engine, image: string, signal: AbortSignal) {
  return ask("inspect image", signal, (abortSignal) => {
    const options: object = { abortSignal }; // understood by the library, absent from its types
    return docker.getImage(image).inspect(options);
  });
}

function pullFailure(
  image: string,
  message: string,
  kind: "refused" | "unavailable" = "unavailable",
): Outcome {
  const words = message.replace(/\s+/g, " ").trim();
  return failure(FINAL.test(words) ? "refused" : kind, `pull ${image}: ${words}`);
}

function failure(kind: "refused" | "unavailable", message: string): EngineFailure {
  return { ok: false, kind, message };
}
