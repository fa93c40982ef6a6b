/**
 * DNS messages over streams: each after its length in two bytes.
 *
 * @module
 */

export async function writeFrame(connection: Deno.Conn, message: Uint8Array): Promise<void> {
  const frame = new Uint8Array(message.length + 2);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, 2);
  for (let at = 0; at < frame.length;) at += await connection.write(frame.subarray(at));
}

/** Reads one message; undefined when the other side has no more to say. */
export async function readFrame(connection: Deno.Conn): Promise<Uint8Array | undefined> {
  const length = await readBytes(connection, 2);
  if (!length) return undefined;
  return await readBytes(connection, new DataView(length.buffer).getUint16(0));
}

async function readBytes(connection: Deno.Conn, count: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await connection.read(bytes.subarray(at));
    if (read === null) return undefined;
    at += read;
  }
  return bytes;
}

/** Closes it, also when somebody else did. */
export function closeStream(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
