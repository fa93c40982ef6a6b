/**
 * Making images present.
 *
 * @module
 */
import type { Outcome } from "../runtime.ts";
import { ask, type Engine, readable, refused } from "./client.ts";
import { bytesOf, jsonLines } from "./streams.ts";

interface PullLine {
  status?: string;
  id?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

/** What the engine says when asking again will not help. */
const FINAL =
  /not found|manifest unknown|denied|unauthorized|authentication required|invalid reference|does not exist|no matching manifest/i;

/** Pulls `image` as `policy` says. Progress comes one line per change of a layer's state. */
export async function pullImage(
  docker: Engine,
  image: string,
  { policy, signal, onProgress }: {
    policy: "missing" | "always" | "never";
    signal: AbortSignal;
    onProgress?: (line: string) => void;
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
  const answer = await ask("pull", signal, (abortSignal) => docker.pull(image, { abortSignal }));
  if (!answer.ok) return pullFailure(image, answer.message, answer.kind);
  const shown = new Map<string, string>();
  // The whole stream is read: the engine ends the pull when its client hangs up.
  for await (const line of jsonLines<PullLine>(bytesOf(readable(answer.value), signal))) {
    if (line.error !== undefined) return pullFailure(image, line.error);
    report(line, shown, onProgress);
  }
  if (signal.aborted) return failure("unavailable", `pull ${image}: not done before the deadline`);
  // A connection that broke looks like an end, so that the image is there is looked up.
  const pulled = await lookUp(docker, image, signal);
  if (pulled.ok) return { ok: true, value: undefined };
  return failure("unavailable", `pull ${image}: ${pulled.message}`);
}

function lookUp(docker: Engine, image: string, signal: AbortSignal) {
  return ask("inspect image", signal, (abortSignal) => {
    const options: object = { abortSignal }; // understood by the library, absent from its types
    return docker.getImage(image).inspect(options);
  });
}

function report(
  line: PullLine,
  shown: Map<string, string>,
  onProgress?: (line: string) => void,
): void {
  if (!onProgress || !line.status) return;
  const { current, total } = line.progressDetail ?? {};
  // Tenths of a layer are news; every block is not.
  const part = current && total ? ` ${Math.floor((10 * current) / total) * 10}%` : "";
  const text = `${line.id ? `${line.id}: ` : ""}${line.status}${part}`;
  if (shown.get(line.id ?? "") === text) return;
  shown.set(line.id ?? "", text);
  onProgress(text);
}

function pullFailure(
  image: string,
  message: string,
  kind: "refused" | "unavailable" = "unavailable",
): Outcome {
  const words = message.replace(/\s+/g, " ").trim();
  return failure(FINAL.test(words) ? "refused" : kind, `pull ${image}: ${words}`);
}

function failure(kind: "refused" | "unavailable", message: string): Outcome {
  return { ok: false, kind, message };
}
