/**
 * Tar archives out of and into a container, by the engine's archive calls.
 *
 * @module
 */
import { Readable } from "node:stream";
import { TAR_END } from "../../kv/schema/tar.ts";
import { type Answer, ask, type Container } from "./client.ts";
import { bytesOf } from "./streams.ts";

/**
 * The stream to its end. A connection that breaks looks like an end, but an archive ends with zeros:
 * without them this throws.
 */
export async function* wholeArchive(
  stream: Readable,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let zeros = 0;
  for await (const data of bytesOf(stream, signal)) {
    const last = data.findLastIndex((byte) => byte !== 0);
    zeros = last === -1 ? zeros + data.length : data.length - last - 1;
    yield data;
  }
  if (zeros < TAR_END.length) throw new Error("the engine ended the archive early");
}

/** Unpacks the tar in a directory of the container. `what` names the call in errors. */
export async function putArchive(
  container: Container,
  tar: AsyncIterable<Uint8Array>,
  { what, signal, ...query }: {
    what: string;
    path: string;
    noOverwriteDirNonDir?: "1";
    signal: AbortSignal;
  },
): Promise<Answer<unknown>> {
  const stream = Readable.from(tar, { objectMode: false });
  const abort = () => stream.destroy(new Error("given up"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await ask(
      what,
      signal,
      (abortSignal) => container.putArchive(stream, { ...query, abortSignal } as { path: string }),
    );
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
