/**
 * What the platform does by itself, in its own time or at a price, done otherwise while a simulation runs.
 *
 * @module
 */
import { createHash } from "node:crypto";

/**
 * Runs `body` on a platform that keeps to the simulation's order: SHA-256 answers at once (the machine's
 * answers from a thread), and deadlines in real time never come. Errors have no stacks, which are dear
 * (`stacks` asks for them), and all signals abort for the one reason.
 */
export async function onQuietPlatform<T>(
  options: { stacks: boolean },
  body: () => Promise<T>,
): Promise<T> {
  const { stackTraceLimit } = Error;
  const { timeout } = AbortSignal;
  replace(crypto.subtle, "digest", createDigest());
  AbortSignal.timeout = () => new AbortController().signal;
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
