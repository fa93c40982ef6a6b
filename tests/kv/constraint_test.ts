import { assertEquals } from "@std/assert";
import { constraintText, parseConstraint } from "../../kv/schema/constraint.ts";
import { contains, parseAddress, parseNetwork } from "../../kv/schema/ip.ts";
import { Placement } from "../../kv/schema/placement.ts";
import { ServiceSpec } from "../../kv/schema/service.ts";

const GOOD: [text: string, normal: string][] = [
  ["node.labels.zone==a", "node.labels.zone==a"],
  ["  node.labels.zone  !=  a b  ", "node.labels.zone!=a b"],
  ["node.labels.example.com/zone==a", "node.labels.example.com/zone==a"],
  ["NODE.HOSTNAME == n1", "node.hostname==n1"],
  ["node.id!=01jd6z0c9m8k4v2q7x5w3t1r0e", "node.id!=01jd6z0c9m8k4v2q7x5w3t1r0e"],
  ["node.name==n1", "node.name==n1"],
  ["node.pool==edge", "node.pool==edge"],
  ["node.platform.os==linux", "node.platform.os==linux"],
  ["node.platform.arch!=arm64", "node.platform.arch!=arm64"],
  ["node.ip==10.0.0.1", "node.ip==10.0.0.1"],
  ["node.ip!=2001:db8::/32", "node.ip!=2001:db8::/32"],
  ["engine.labels.gpu==a=b", "engine.labels.gpu==a=b"],
];

for (const [text, normal] of GOOD) {
  Deno.test(`constraint '${text}' reads as ${normal}`, () => {
    const parsed = parseConstraint(text);
    assertEquals(parsed.ok && constraintText(parsed.constraint), normal);
  });
}

const BAD: [text: string, message: string][] = [
  ["node.labels.zone=a", "position 17: expected == or !=, found '=a'"],
  ["node.labels.zone", "position 17: expected == or !=, found the end"],
  ["node.labels.zone > a", "position 18: expected == or !=, found '> '"],
  ["node.labels.zone== ", "position 20: expected a value, found the end"],
  ["node.labels.==a", "position 13: expected the label's key"],
  ["node.labels.-x==a", "position 13: '-x' is not a label's key"],
  ["node.name==a==b", "position 13: a constraint has one operator"],
  [
    "node.ip==10.0.0.0/33",
    "position 10: '10.0.0.0/33' is neither an address nor a network like 10.0.0.0/8",
  ],
  [
    "node.role==worker",
    "position 1: node.role: nodes have no roles here, each of them runs tasks; leave it out",
  ],
  [
    "node.zone==a",
    "position 1: 'node.zone' is not one of node.id, node.name, node.hostname, node.ip, node.pool, " +
    "node.platform.os, node.platform.arch, node.labels.KEY, engine.labels.KEY",
  ],
];

for (const [text, message] of BAD) {
  Deno.test(`constraint '${text}' is refused: ${message.slice(0, 40)}`, () => {
    assertEquals(parseConstraint(text), { ok: false, message });
  });
}

Deno.test("a malformed constraint is an error of its own field, in an affinity as well", () => {
  const placement = {
    constraints: ["node.name==a", "node.role==x"],
    affinity: [{ to: { constraint: "node.name=a" } }],
    tolerations: [{ operator: "equal" as const }],
  };
  const parsed = ServiceSpec.safeParse({ name: "web", template: { image: "app", placement } });
  assertEquals(parsed.error?.issues.map(({ path, message }) => [path.join("."), message]), [
    [
      "template.placement.constraints.1",
      "position 1: node.role: nodes have no roles here, each of them runs tasks; leave it out",
    ],
    ["template.placement.tolerations.0.key", "is needed by operator equal"],
    ["template.placement.affinity.0.to.constraint", "position 10: expected == or !=, found '=a'"],
  ]);
});

Deno.test("rows and specs from before the rules read as having none", () => {
  assertEquals(Placement.parse({}), {
    labels: {},
    constraints: [],
    tolerations: [],
    affinity: [],
    spread: [],
  });
  const { priority, disruption } = ServiceSpec.parse({ name: "web", template: { image: "app" } });
  assertEquals([priority, disruption], [0, { maxUnavailable: 1 }]);
});

const NETWORKS: [network: string, address: string, inside: boolean][] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.2.128/25", "10.1.2.127", false],
  ["10.1.2.3", "10.1.2.3", true],
  ["0.0.0.0/0", "192.168.0.1", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["10.0.0.0/8", "::ffff:10.0.0.1", true],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["::/0", "fe80::1", true],
  ["fe80::1", "fe80:0:0:0:0:0:0:1", true],
];

for (const [network, address, inside] of NETWORKS) {
  Deno.test(`${address} is ${inside ? "" : "not "}in ${network}`, () => {
    const [range, at] = [parseNetwork(network), parseAddress(address)];
    assertEquals(range && at && contains(range, at), inside);
  });
}

for (
  const text of [
    "",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7:8:9",
    "::1.2.3",
    "g::",
    "n1",
  ]
) {
  Deno.test(`'${text}' is no address`, () => assertEquals(parseAddress(text), undefined));
}
