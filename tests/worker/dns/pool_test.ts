import { assert, assertEquals } from "@std/assert";
import {
  overlaps,
  parsePool,
  type Pool,
  subnets,
  virtualAddresses,
  virtualNetwork,
} from "../../../worker/dns/pool.ts";

function pool(text: string): Pool {
  const parsed = parsePool(text);
  assert(!("problem" in parsed), JSON.stringify(parsed));
  return parsed;
}

Deno.test("a pool's lower half is for subnets, each with its first address for the machine", () => {
  const all = [...subnets(pool("10.213.0.0/16"), "n shop")];
  assertEquals(all.length, 64);
  assertEquals(new Set(all.map(({ subnet }) => subnet)).size, 64);
  for (const { subnet, gateway } of all) {
    const third = Number(/^10\.213\.(\d+)\.0\/23$/.exec(subnet)?.[1]);
    assert(third < 128 && third % 2 === 0, subnet);
    assertEquals(gateway, `10.213.${third}.1`);
  }
});

Deno.test("its upper half is for services; a key begins at the same address each time", () => {
  const { text } = pool("10.213.0.0/22");
  const all = [...virtualAddresses(pool(text), "api")];
  assertEquals(virtualNetwork(pool(text)), "10.213.2.0/23");
  assertEquals(new Set(all).size, 512);
  assert(all.every((address) => /^10\.213\.[23]\.\d+$/.test(address)));
  const [first] = all;
  assertEquals(virtualAddresses(pool(text), "api").next().value, first);
  const [other] = virtualAddresses(pool(text), "web");
  assert(other !== first);
});

for (
  const text of [
    "",
    "10.0.0.0",
    "10.0.0.0/23",
    "10.0.0.0/7",
    "10.0.1.0/16",
    "10.0.0.256/16",
    "::/16",
  ]
) {
  Deno.test(`"${text}" is no pool`, () => assert("problem" in parsePool(text)));
}

for (
  const [subnet, address, netmask, answer] of [
    ["10.213.5.0/24", "10.213.5.9", "255.255.255.0", true],
    ["10.213.5.0/24", "10.213.5.128", "255.255.255.128", true],
    ["10.213.5.0/24", "10.0.0.1", "255.0.0.0", true],
    ["10.213.5.0/24", "10.213.6.1", "255.255.255.0", false],
    ["10.213.5.0/24", "10.213.4.1", "255.255.255.255", false],
    ["10.213.5.0/24", "192.168.0.1", "255.255.0.0", false],
    ["10.213.5.0/24", "fe80::1", "ffff:ffff:ffff:ffff::", false],
  ] as const
) {
  Deno.test(`${subnet} and ${address} with ${netmask} ${answer ? "overlap" : "do not overlap"}`, () => {
    assertEquals(overlaps(subnet, { address, netmask }), answer);
  });
}
