import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { microsOf, stampedReader } from "../../cli/format/stamped.ts";
import { interleaver } from "../../cli/interleave.ts";

const encoder = new TextEncoder();
const decode = (data: Uint8Array) => new TextDecoder().decode(data);

function readAll(pieces: string[]) {
  const reader = stampedReader();
  const lines = pieces.flatMap((piece) => reader.push(encoder.encode(piece)));
  return [...lines, ...reader.flush()].map(({ time, text }) => [time, decode(text)]);
}

Deno.test("stamped lines are read whole from any pieces, each with its time", () => {
  const text = "2026-01-31T12:00:00.000000001Z one\n2026-01-31T12:00:01Z \n" +
    "2026-01-31T12:00:02.5Z 2026-01-31 is a date\nno stamp\n2026-01-31T12:00:03Z the rest";
  const wanted = [
    ["2026-01-31T12:00:00.000000001Z", "one\n"],
    ["2026-01-31T12:00:01Z", "\n"],
    ["2026-01-31T12:00:02.5Z", "2026-01-31 is a date\n"],
    ["2026-01-31T12:00:02.5Z", "no stamp\n"],
    ["2026-01-31T12:00:03Z", "the rest\n"],
  ];
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), text.length];
      const pieces = places.slice(1).map((to, i) => text.slice(places[i], to));
      assertEquals(readAll(pieces), wanted);
    }),
  );
});

Deno.test("stamps that the engine put inside a long line are taken out", () => {
  const stamp = "2026-01-31T12:00:00.000000001Z ";
  const part = "x".repeat(16 * 1024);
  const [line] = readAll([`${stamp}${part}${stamp}${part}${stamp}end\n`]);
  assertEquals(line?.[1], `${part}${part}end\n`);
});

Deno.test("a line without end is cut, so that memory stays bounded", () => {
  const reader = stampedReader();
  const lengths = reader.push(new Uint8Array(200_000).fill(120)).map(({ text }) => text.length);
  assertEquals(lengths, [65_537, 65_537, 65_537]);
});

Deno.test("times are compared to the microsecond, whatever their zone and digits", () => {
  const at = Date.parse("2026-01-31T12:00:00Z") * 1000;
  assertEquals(microsOf("2026-01-31T12:00:00.000001999Z"), at + 1);
  assertEquals(microsOf("2026-01-31T13:00:00.5+01:00"), at + 500_000);
  assertEquals(microsOf("yesterday"), undefined);
});

Deno.test("streams whose times ascend come out in the order of time, whatever comes when", () => {
  const streams = fc.array(fc.array(fc.nat(50), { maxLength: 12 }), { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(streams, fc.infiniteStream(fc.nat()), (given, choices) => {
    const out: number[] = [];
    const lines = interleaver<{ timeUs: number }>(({ timeUs }) => out.push(timeUs));
    const open = given.map((times) => ({
      lane: lines.open(),
      left: times.sort((a, b) => a - b).slice(),
    }));
    while (open.length > 0) {
      const at = (choices.next().value ?? 0) % open.length;
      const { lane, left } = open[at]!;
      const timeUs = left.shift();
      if (timeUs === undefined) {
        lane.end();
        open.splice(at, 1);
      } else lane.push({ timeUs }, 0);
      lines.release(-1);
    }
    assertEquals(out, given.flat().sort((a, b) => a - b));
  }));
});

Deno.test("a silent stream holds the others up only as long as it is let", () => {
  const out: number[] = [];
  const lines = interleaver<{ timeUs: number }>(({ timeUs }) => out.push(timeUs));
  lines.open();
  const lane = lines.open();
  lane.push({ timeUs: 1 }, 100);
  lane.push({ timeUs: 2 }, 200);
  lines.release(99);
  assertEquals(out, []);
  lines.release(100);
  assertEquals(out, [1]);
});
