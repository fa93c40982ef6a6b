import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
// @ts-types="@types/dns-packet"
import packet, { type RecordType } from "dns-packet";
import { createAnswerer } from "../../../worker/dns/answerer.ts";
import { createForwarder, type Forwarder } from "../../../worker/dns/forward.ts";
import { listenForQueries } from "../../../worker/dns/responder.ts";
import { readFrame, writeFrame } from "../../../worker/dns/stream.ts";
import { createZone, type Zone } from "../../../worker/dns/zone.ts";
import { ask, type Asked, endpoint, service, tcp, told, udp } from "./support.ts";

const log = () => {};

/** Asks as `dig @127.0.0.1 -p PORT NAME TYPE` does, `+tcp` or not. */
interface Dig {
  (name: string, type?: RecordType, options?: Asked & { tcp?: boolean }): Promise<string>;
  port: number;
}

function dig(port: number): Dig {
  const once = async (
    name: string,
    type: RecordType = "A",
    options: Asked & { tcp?: boolean } = {},
  ) => told(await exchange(port, ask(name, type, options), options.tcp ? "tcp" : "udp"));
  return Object.assign(once, { port });
}

async function exchange(
  port: number,
  query: Uint8Array,
  over: "udp" | "tcp",
): Promise<Uint8Array | undefined> {
  if (over === "tcp") {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await writeFrame(connection, query);
    return await readFrame(connection);
  }
  const socket = createSocket("udp4");
  try {
    return await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("message", (message) => resolve(Uint8Array.from(message)));
      socket.send(query, port, "127.0.0.1");
    });
  } finally {
    socket.close();
  }
}

/** A port that is free for both protocols. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function listening(
  answer: Parameters<typeof listenForQueries>[0]["answer"],
  body: (dig: Dig) => Promise<void>,
): Promise<void> {
  const port = freePort();
  const listened = await listenForQueries({ address: "127.0.0.1", port, answer, log });
  assert(listened.ok, JSON.stringify(listened));
  try {
    await body(dig(port));
  } finally {
    await listened.responder.close();
  }
}

/** Answers for project shop: services are 10.0.0.<n>, the tasks of others 10.1.0.<slot>. */
function answering(
  zone: () => Zone,
  body: (dig: Dig) => Promise<void>,
  forwarder: Forwarder = { forward: () => Promise.resolve(undefined) },
): Promise<void> {
  const answer = createAnswerer({
    project: "shop",
    zone,
    addresses: {
      ofService: ({ ports }) => Promise.resolve(ports.length > 0 ? ["10.0.0.1"] : []),
      ofTask: (_, { slot }) => Promise.resolve(slot === 4 ? undefined : `10.1.0.${slot}`),
    },
    forwarder,
    random: () => 0,
  });
  return listening(answer, body);
}

const tasks = [1, 2, 3, 4].map((n) => endpoint(n));
const zone = createZone([
  service(1, "api.shop", { ports: [tcp(8080), udp(53)], endpoints: tasks }),
  service(2, "quiet.shop", { ports: [] }),
  service(3, "big.shop", { endpoints: Array.from({ length: 100 }, (_, i) => endpoint(i + 5)) }),
]);

Deno.test("names are answered over datagrams and streams alike", async () => {
  await answering(() => zone, async (dig) => {
    for (const options of [{}, { tcp: true }, { bytes: 1232 }]) {
      assertEquals(await dig("api", "A", options), "NOERROR, 10.0.0.1");
      assertEquals(await dig("API.Shop.Berth.Internal", "A", options), "NOERROR, 10.0.0.1");
      assertEquals(await dig("tasks.api", "A", options), "NOERROR, 10.1.0.1, 10.1.0.2, 10.1.0.3");
      assertEquals(await dig("2.tasks.api", "A", options), "NOERROR, 10.1.0.2");
    }
  });
});

Deno.test("a name without such records exists nevertheless; one that does not says so", async () => {
  await answering(() => zone, async (dig) => {
    assertEquals(await dig("api", "AAAA"), "NOERROR");
    assertEquals(await dig("api", "TXT"), "NOERROR");
    assertEquals(await dig("quiet", "A"), "NOERROR");
    assertEquals(await dig("_8080._tcp.api", "A"), "NOERROR");
    assertEquals(await dig("nothing", "A"), "NXDOMAIN");
    assertEquals(await dig("nothing.berth.internal", "AAAA"), "NXDOMAIN");
  });
});

Deno.test("SRV records say where a port is, with the address of each target", async () => {
  await answering(() => zone, async (dig) => {
    const whole = "api.shop.berth.internal";
    assertEquals(await dig("_8080._tcp.api", "SRV"), `NOERROR, 8080 ${whole}`);
    assertEquals(await dig("api", "SRV"), `NOERROR, 8080 ${whole}, 53 ${whole}`);
    assertEquals(await dig("_8081._tcp.api", "SRV"), "NOERROR");
    assertEquals(await dig("_8080._udp.api", "SRV"), "NOERROR");
    const each = [1, 2, 3].map((slot) => `53 ${slot}.tasks.${whole}`).join(", ");
    assertEquals(await dig("_53._udp.tasks.api", "SRV"), `NOERROR, ${each}`);
    const reply = await exchange(dig.port, ask("_53._udp.tasks.api", "SRV"), "tcp");
    const { additionals = [] } = packet.decode(Buffer.from(reply ?? []));
    assertEquals(
      additionals.map((one) => one.type === "A" && `${one.name} ${one.data}`),
      [1, 2, 3].map((slot) => `${slot}.tasks.${whole} 10.1.0.${slot}`),
    );
  });
});

Deno.test("what does not fit into a datagram is there over a stream", async () => {
  await answering(() => zone, async (dig) => {
    assert((await dig("tasks.big")).startsWith("NOERROR, cut short, 10.1.0.5, "));
    assertEquals((await dig("tasks.big", "A", { tcp: true })).split(", ").length, 101);
  });
});

Deno.test("a change is in the next answer, and no answer may be remembered for over a second", async () => {
  let now = zone;
  await answering(() => now, async (dig) => {
    assertEquals(await dig("3.tasks.api"), "NOERROR, 10.1.0.3");
    now = createZone([service(1, "api.shop", { endpoints: tasks.slice(0, 2) })]);
    assertEquals(await dig("3.tasks.api"), "NOERROR");
    for (const name of ["tasks.api", "api", "nothing"]) {
      const reply = await exchange(dig.port, ask(name), "udp");
      const { answers = [], authorities = [] } = packet.decode(Buffer.from(reply ?? []));
      for (const one of [...answers, ...authorities]) assertEquals("ttl" in one && one.ttl, 1);
      assert(answers.length + authorities.length > 0);
    }
  });
});

Deno.test("one stream carries many queries, and bytes that are none close it", async () => {
  await answering(() => zone, async ({ port }) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    try {
      for (let id = 0; id < 3; id++) {
        await writeFrame(connection, ask("api", "A", { id }));
        const reply = await readFrame(connection);
        assertEquals(packet.decode(Buffer.from(reply ?? [])).id, id);
      }
      await writeFrame(connection, new Uint8Array(3));
      assertEquals(await readFrame(connection), undefined);
    } finally {
      connection.close();
    }
  });
});

Deno.test("an address that is taken is a value, and nothing stays bound", async () => {
  const port = freePort();
  const taken = Deno.listen({ hostname: "127.0.0.1", port });
  const options = { address: "127.0.0.1", port, answer: () => Promise.resolve(undefined), log };
  const listened = await listenForQueries(options);
  assert(!listened.ok, "bound");
  assert(listened.message.startsWith(`tcp 127.0.0.1:${port}: `), listened.message);
  taken.close();
  const again = await listenForQueries(options);
  assert(again.ok, JSON.stringify(again));
  await again.responder.close();
});

/** Somebody else's resolver: answers A with this address, or SERVFAIL, or not at all. */
function resolver(address: string | "fails" | "silent", body: (port: number) => Promise<void>) {
  const answer = (bytes: Uint8Array) => {
    const { id = 0, questions = [] } = packet.decode(Buffer.from(bytes));
    const [{ name } = { name: "" }] = questions;
    if (address === "silent") return Promise.resolve(undefined);
    const big = name.startsWith("big.") ? 60 : 1;
    const answers = Array.from({ length: address === "fails" ? 0 : big }, () => ({
      ...{ type: "A" as const, name, ttl: 300, data: address },
    }));
    const flags = address === "fails" ? 2 : 0;
    return Promise.resolve(
      Uint8Array.from(packet.encode({ type: "response", id, flags, questions, answers })),
    );
  };
  return listening(answer, ({ port }) => body(port));
}

async function forwarding(
  { port, servers = ["127.0.0.1"] }: { port: number; servers?: string[] },
  body: (dig: Dig) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const forwarder = createForwarder({
    ...{ servers: () => Promise.resolve(servers), random: Math.random, signal, port },
  });
  await answering(() => zone, body, forwarder);
  stop.abort();
}

Deno.test("names that are not ours are asked of the machine's resolvers, over the same transport", async () => {
  await resolver("192.0.2.7", async (port) => {
    await forwarding({ port }, async (dig) => {
      assertEquals(await dig("example.com"), "NOERROR, 192.0.2.7");
      assertEquals(await dig("example.com", "A", { tcp: true }), "NOERROR, 192.0.2.7");
      assertEquals(await dig("big.example.com"), "NOERROR, cut short");
      assertEquals((await dig("big.example.com", "A", { tcp: true })).split(", ").length, 61);
      const ids = await exchange(dig.port, ask("example.com", "A", { id: 4711 }), "udp");
      assertEquals(packet.decode(Buffer.from(ids ?? [])).id, 4711);
    });
  });
});

Deno.test("without an answer from any resolver the client is told so, and our names go on", async () => {
  await resolver("fails", async (port) => {
    await forwarding({ port, servers: ["127.0.0.9", "127.0.0.1"] }, async (dig) => {
      assertEquals(await dig("example.com"), "SERVFAIL");
      assertEquals(await dig("api"), "NOERROR, 10.0.0.1");
    });
  });
  await forwarding({ port: 1, servers: [] }, async (dig) => {
    assertEquals(await dig("example.com"), "SERVFAIL");
  });
});

Deno.test("a resolver that is silent holds up nobody but who asked it", async () => {
  await resolver("silent", async (port) => {
    await forwarding({ port }, async (dig) => {
      const slow = dig("example.com");
      assertEquals(await dig("api"), "NOERROR, 10.0.0.1");
      assertEquals(await slow, "SERVFAIL");
    });
  });
});
