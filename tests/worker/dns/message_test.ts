import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import packet, { type RecordType } from "dns-packet";
import { type Answer, type Query, readQuery, writeReply } from "../../../worker/dns/message.ts";
import { ask, told } from "./support.ts";

function read(bytes: Uint8Array): Query {
  const answer = readQuery(bytes);
  assert(answer.kind === "query", JSON.stringify(answer));
  return answer.query;
}

const records = (count: number): Answer[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ type: "A" as const, name: "tasks.api", ttl: 1, data: `10.0.${i >> 8}.${i & 255}` },
  }));

Deno.test("a query is read by its name in lower case, and answered in the letters it was asked in", () => {
  const query = read(ask("aPi.Shop", "A", { id: 4711 }));
  assertEquals([query.id, query.name, query.type], [4711, "api.shop", "A"]);
  const reply = packet.decode(Buffer.from(writeReply(query, {
    ...{ code: "NOERROR" as const, answers: records(1) },
  }, "udp")));
  assertEquals(reply.id, 4711);
  assertEquals(reply.questions?.[0]?.name, "aPi.Shop");
  assert(reply.flag_qr && reply.flag_aa && reply.flag_rd && reply.flag_ra);
});

Deno.test("types that nobody here knows are repeated as they were asked", () => {
  const HTTPS = 65;
  const bytes = ask("api", "A");
  bytes.writeUInt16BE(HTTPS, bytes.length - 4);
  const query = read(bytes);
  const reply = writeReply(query, { code: "NOERROR", answers: [] }, "udp");
  assertEquals(Buffer.from(reply).subarray(12, bytes.length), bytes.subarray(12));
});

Deno.test("what is no query is not answered; what cannot be read is refused by code", () => {
  const refused = (bytes: Uint8Array) => {
    const answer = readQuery(bytes);
    assert(answer.kind === "refused");
    return answer.reply && (answer.reply[3] ?? 0) & 15;
  };
  const [response, update, cut, none] = [ask("api"), ask("api"), ask("api"), ask("api")];
  response[2] = 0x80;
  update[2] = 5 << 3;
  none[5] = 0;
  assertEquals(refused(new Uint8Array(11)), undefined);
  assertEquals(refused(response), undefined);
  assertEquals(refused(update), 4);
  assertEquals(refused(cut.subarray(0, 15)), 1);
  assertEquals(refused(none), 1);
});

Deno.test("any bytes are read without an exception", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    readQuery(bytes);
    const query = Uint8Array.from(bytes);
    query.set([0, 1, 0, 0, 0, 1].slice(0, Math.max(0, query.length)), 0);
    readQuery(query);
  }));
});

for (
  const [what, bytes, limit] of [
    ["512 bytes without EDNS", undefined, 512],
    ["what the client takes", 800, 800],
    ["512 bytes even if the client says less", 100, 512],
    ["1232 bytes even if the client takes more", 65000, 1232],
  ] as const
) {
  Deno.test(`a datagram has at most ${what}; more is cut short, with as much as fits`, () => {
    const query = read(ask("tasks.api", "A", bytes === undefined ? {} : { bytes }));
    for (const count of [1, 10, 20, 40, 400]) {
      const reply = writeReply(query, { code: "NOERROR", answers: records(count) }, "udp");
      const whole = writeReply(query, { code: "NOERROR", answers: records(count) }, "tcp");
      assertEquals(packet.decode(Buffer.from(whole)).answers?.length, count);
      assert(reply.length <= limit);
      const { answers = [], flag_tc } = packet.decode(Buffer.from(reply));
      assertEquals(flag_tc, whole.length > limit);
      if (!flag_tc) assertEquals(answers.length, count);
      else assert(limit - reply.length < 25, `${answers.length} records in ${reply.length} bytes`);
    }
  });
}

Deno.test("additional records are left out before a reply is cut short", () => {
  const query = read(ask("_8080._tcp.tasks.api", "SRV" as RecordType));
  const reply = writeReply(query, {
    ...{ code: "NOERROR", answers: records(15), additionals: records(30) },
  }, "udp");
  assertEquals(told(reply).split(", ").length, 16);
});
