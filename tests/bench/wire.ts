/**
 * A kept-alive HTTP/1.1 connection over plain TCP, for load generators: `fetch` would cost the machine more
 * than the server that is measured. It knows just what the server's answers need: a length and a body.
 *
 * @module
 */

export interface Answer {
  status: number;
  body: Uint8Array;
}

export interface Wire {
  /** Sends a request (see {@link requestOf}) and waits for its answer; one at a time. */
  send(request: Uint8Array): Promise<Answer>;
  close(): void;
}

const BUFFER_BYTES = 4096;
const HEAD_END = [13, 10, 13, 10];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a GET. */
export function requestOf(url: string, token: string): Uint8Array {
  const { host, pathname, search } = new URL(url);
  return encoder.encode(
    `GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
}

export async function connectWire(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  connection.setNoDelay(true);
  let buffer = new Uint8Array(BUFFER_BYTES);
  let filled = 0;

  async function more(): Promise<void> {
    if (filled === buffer.length) {
      const larger = new Uint8Array(buffer.length * 2);
      larger.set(buffer);
      buffer = larger;
    }
    const read = await connection.read(buffer.subarray(filled));
    if (read === null) throw new Error(`${url}: the server closed the connection`);
    filled += read;
  }

  return {
    async send(request) {
      for (let sent = 0; sent < request.length;) {
        sent += await connection.write(request.subarray(sent));
      }
      filled = 0;
      let head = -1;
      while (head < 0) {
        await more();
        head = endOfHead(buffer, filled);
      }
      const text = decoder.decode(buffer.subarray(0, head));
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      if (length === undefined) throw new Error(`${url}: an answer without a length: ${text}`);
      const end = head + Number(length);
      while (filled < end) await more();
      return { status: Number(text.slice(9, 12)), body: buffer.slice(head, end) };
    },
    close: () => connection.close(),
  };
}

/** Where the body begins; -1 while the head is not complete. */
function endOfHead(buffer: Uint8Array, filled: number): number {
  for (let at = buffer.indexOf(13); at >= 0 && at + 3 < filled; at = buffer.indexOf(13, at + 1)) {
    if (HEAD_END.every((byte, i) => buffer[at + i] === byte)) return at + HEAD_END.length;
  }
  return -1;
}
