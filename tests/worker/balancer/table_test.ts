import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EndpointsResponse } from "../../../kv/schema/endpoint.ts";
import { proxyHeader } from "../../../worker/balancer/proxy_header.ts";
import { applyAnswer, type Table, wantedPorts } from "../../../worker/balancer/table.ts";
import { idOf } from "../../support/ids.ts";
import { serviceOf, tableOf } from "../../support/traffic.ts";

function answer(version: number, more: Partial<EndpointsResponse>): EndpointsResponse {
  return { version, full: false, services: [], removed: [], ...more };
}

const web = (published: number, service = 1) => serviceOf({ service, published, places: [] });
const ids = (table: Table) => [...table.services.keys()];

Deno.test("a full answer replaces the table; a change is put into it; a late change is ignored", () => {
  const first = applyAnswer(undefined, answer(5, { full: true, services: [web(80)] }));
  const second = applyAnswer(first, answer(6, { services: [web(81, 2)], removed: [idOf(1)] }));
  assertEquals([second.version, ids(second)], [6, [idOf(2)]]);
  assertEquals(applyAnswer(second, answer(5, { removed: [idOf(2)] })), second);
  const older = applyAnswer(second, answer(3, { full: true, services: [web(80)] }));
  assertEquals([older.version, ids(older)], [3, [idOf(1)]]);
});

Deno.test("an answer without changes keeps the very services, so that nobody looks at them again", () => {
  const table = tableOf({ places: [] });
  const next = applyAnswer(table, answer(table.version + 7, {}));
  assertEquals(next.version, table.version + 7);
  assertEquals(next.services === table.services, true);
});

Deno.test("changes one by one give the same table as everything at once", () => {
  const change = fc.record({ service: fc.nat(5), published: fc.nat(9), gone: fc.boolean() });
  fc.assert(fc.property(fc.array(change), (changes) => {
    let table = applyAnswer(undefined, answer(0, { full: true }));
    const truth = new Map<string, ReturnType<typeof web>>();
    changes.forEach(({ service, published, gone }, i) => {
      const made = web(published + 1, service);
      if (gone) truth.delete(made.id);
      else truth.set(made.id, made);
      const told = gone ? { removed: [made.id] } : { services: [made] };
      table = applyAnswer(table, answer(i + 1, told));
    });
    assertEquals(table.services, truth);
  }));
});

Deno.test("what is published is wanted, by protocol and port", () => {
  const table = tableOf(
    { service: 1, published: 53, protocol: "udp", target: 53, places: [] },
    { service: 2, published: 53, target: 53, places: [] },
    { service: 3, target: 80, places: [] },
  );
  const wanted = wantedPorts(table);
  assertEquals([...wanted.keys()], ["udp/53", "tcp/53"]);
  assertEquals(wanted.get("udp/53")?.balancing.idleMs, 60_000);
});

Deno.test("the PROXY header names client and server, in IPv4 where both are", () => {
  const hex = (bytes: Uint8Array) =>
    Array.from(bytes.subarray(12), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const v4 = proxyHeader({ hostname: "::ffff:10.1.2.3", port: 4660 }, {
    hostname: "10.0.0.1",
    port: 80,
  });
  assertEquals(String.fromCharCode(...v4.subarray(0, 12)), "\r\n\r\n\0\r\nQUIT\n");
  assertEquals(hex(v4), "2111000c" + "0a010203" + "0a000001" + "1234" + "0050");
  const v6 = proxyHeader({ hostname: "2001:db8::1", port: 1 }, { hostname: "::1", port: 2 });
  assertEquals(
    hex(v6),
    "21210024" + "20010db8000000000000000000000001" + "00000000000000000000000000000001" +
      "0001" + "0002",
  );
  assertEquals(
    hex(proxyHeader({ hostname: "?", port: 1 }, { hostname: "::1", port: 2 })),
    "200000" + "00",
  );
});
