import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient } from "../../api/client.ts";
import { eventually } from "../support/eventually.ts";

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

Deno.test("what is aborted while it is read ends, however much garbage was collected meanwhile", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let answers = 0;
  const server = Deno.serve({ port: 0, onListen: () => {} }, () => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(": here\n\n")),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const client = createClient({
    url: `http://127.0.0.1:${server.addr.port}`,
    fetch: (request) => fetch(request).finally(() => answers++),
  });
  const follows = [
    async (signal: AbortSignal) => {
      for await (const _ of client.followEvents({ signal }));
    },
    async (signal: AbortSignal) => void await client.cluster({ signal }),
  ];
  for (const [n, follow] of follows.entries()) {
    const stop = new AbortController();
    const ended = follow(stop.signal).catch(() => {});
    // Then the answer's head is here, and what asked for it out of every scope.
    await eventually(() => answers === n + 1);
    collect();
    stop.abort();
    await ended;
  }
  await server.shutdown();
});
