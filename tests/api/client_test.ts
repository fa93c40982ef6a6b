import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createClient } from "../../api/client.ts";

/** A client whose server answers with this body. */
function answering(body: BodyInit) {
  const init = { headers: { "content-type": "application/json" } };
  const answer = () => Promise.resolve(new Response(body, init));
  return createClient({ url: "http://berth.test:7070", fetch: answer });
}

Deno.test("a server that dies in mid-answer is unreachable, so that the request may be repeated", async () => {
  const broken = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"id": "'));
      controller.error(new TypeError("error reading a body from connection"));
    },
  });
  const result = await answering(broken).cluster();
  assert(!result.ok && result.error.kind === "unreachable", JSON.stringify(result));
  assertStringIncludes(result.error.message, "berth.test:7070 broke off");
});

Deno.test("an answer that is whole and no JSON is another program's", async () => {
  const result = await answering("<html>").cluster();
  assertEquals(!result.ok && result.error.kind, "protocol");
});

Deno.test("who does not answer is named with the reason", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const told = async (url: string) => {
    const result = await createClient({ url, timeoutMs: 5_000 }).cluster();
    assert(!result.ok && result.error.kind === "unreachable", JSON.stringify(result));
    return result.error.message;
  };
  assertEquals(
    await told(`http://127.0.0.1:${port}`),
    `cannot reach 127.0.0.1:${port}: Connection refused`,
  );
});
