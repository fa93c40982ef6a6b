import { assertEquals, assertRejects } from "@std/assert";
import { connectWire, requestOf } from "./wire.ts";

/** Answers each request, in the order in which they come, with the next of these bytes, in pieces. */
async function withAnswers(
  answers: readonly string[][],
  work: (url: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const asked: string[] = [];
  const serving = (async () => {
    const connection = await listener.accept();
    connection.setNoDelay(true);
    const buffer = new Uint8Array(4096);
    for (const pieces of answers) {
      const read = await connection.read(buffer);
      asked.push(new TextDecoder().decode(buffer.subarray(0, read ?? 0)));
      for (const piece of pieces) await connection.write(new TextEncoder().encode(piece));
    }
    connection.close();
  })();
  try {
    await work(`http://127.0.0.1:${port}`, asked);
  } finally {
    await serving;
    listener.close();
  }
}

Deno.test("answers are read whole, however they come in, one after the other on one connection", () => {
  const long = "x".repeat(9000);
  return withAnswers([
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
    ["HTTP/1.1 404 No\r\ncontent-len", "gth: 9000\r", "\n\r\n", long],
    ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
  ], async (url, asked) => {
    const wire = await connectWire(url);
    const request = requestOf(`${url}/v1/x?y=1`, "secret");
    const texts: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { status, body } = await wire.send(request);
      texts.push(`${status} ${new TextDecoder().decode(body)}`);
    }
    wire.close();
    assertEquals(texts, ["200 hello", `404 ${long}`, "200 "]);
    assertEquals(asked[0]?.split("\r\n")[0], "GET /v1/x?y=1 HTTP/1.1");
    assertEquals(asked[0]?.includes("authorization: Bearer secret\r\n"), true);
  });
});

Deno.test("a connection that ends in the middle of an answer is an error", () =>
  withAnswers([["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"]], async (url) => {
    const wire = await connectWire(url);
    await assertRejects(() => wire.send(requestOf(`${url}/`, "t")), "closed the connection");
    wire.close();
  }));
