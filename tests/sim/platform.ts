/**
 * What the platform does by itself, in its own time or at a price, done otherwise while a simulation runs.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The deadlines of calls are longer: the simulated network has patience of its own. */
const LONGEST_MS = 60_000;

/**
 * Runs `body` on a platform that keeps to the simulation's order: SHA-256 answers at once (the machine's
 * answers from a thread), and deadlines are in simulated time, or never come if they are long. Errors have no stacks, which are dear
 * (`stacks` asks for them), and all signals abort for the one reason.
 */
export async function onQuietPlatform<T>(
  options: { stacks: boolean; after: (ms: number, run: () => void) => void },
  body: () => Promise<T>,
): Promise<T> {
  const { stackTraceLimit } = Error;
  const { timeout } = AbortSignal;
  replace(crypto.subtle, "digest", createDigest());
  AbortSignal.timeout = (ms) => {
    const deadline = new AbortController();
    if (ms <= LONGEST_MS) options.after(ms, () => deadline.abort());
    return deadline.signal;
  };
  const { abort } = AbortController.prototype;
  const reason = new DOMException("The signal has been aborted", "AbortError");
  AbortController.prototype.abort = function (given: unknown = reason) {
    abort.call(this, given);
  };
  if (!options.stacks) Error.stackTraceLimit = 0;
  try {
    return await body();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    AbortSignal.timeout = timeout;
    AbortController.prototype.abort = abort;
    Reflect.deleteProperty(crypto.subtle, "digest");
  }
}

/** Each request has its token hashed: a few different ones, again and again. */
function createDigest() {
  const known = new Map<string, Uint8Array<ArrayBuffer>>();
  return (_: unknown, data: Uint8Array) => {
    const text = String.fromCharCode(...data);
    let digest = known.get(text);
    if (!digest) {
      digest = new Uint8Array(createHash("sha256").update(data).digest());
      known.set(text, digest);
    }
    return Promise.resolve(digest.slice().buffer);
  };
}

function replace(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, configurable: true });
}
