import { assertEquals } from "@std/assert";
import { createZone, lookup } from "../../../worker/dns/zone.ts";
import { endpoint, service } from "./support.ts";

const zone = createZone([
  service(1, "api.shop", {
    aliases: ["backend", "web", "shop_api", "dev.shop-api", "api.other"],
    endpoints: [
      endpoint(11, { slot: 1 }),
      endpoint(12, { slot: 2 }),
      endpoint(13, { slot: 3, state: "starting" }),
      endpoint(14, { slot: 4, state: "draining" }),
      endpoint(15, { slot: 5, state: "unreachable" }),
    ],
  }),
  service(2, "web.shop"),
  service(3, "api.other", { endpoints: [endpoint(31, { slot: 1, state: "unreachable" })] }),
  service(4, "tasks.other"),
]);

/** What a container of project shop finds. */
function found(name: string): string {
  const answer = lookup(zone, name, "shop");
  if (answer.kind !== "found") return answer.kind;
  const { service, tasks, port } = answer;
  return [
    `${service.name}.${service.project}`,
    ...(tasks ? [`slots ${tasks.map(({ slot }) => slot).join()}`] : []),
    ...(port ? [`${port.protocol}/${port.target}`] : []),
  ].join(" ");
}

for (
  const [name, meaning] of [
    ["api", "api.shop"],
    ["api.shop", "api.shop"],
    ["api.other", "api.other"],
    ["api.shop.berth.internal", "api.shop"],
    ["api.berth.internal", "api.shop"],
    ["backend", "api.shop"],
    ["web", "web.shop"], // A name comes before an alias.
    ["backend.other", "foreign"],
    ["shop_api", "api.shop"],
    ["shop_api.shop.berth.internal", "api.shop"],
    ["dev.shop-api", "api.shop"],
    ["shop-api", "unknown"],
    ["tasks.api", "api.shop slots 1,2"],
    ["tasks.api.shop", "api.shop slots 1,2"],
    ["2.tasks.api", "api.shop slots 2"],
    ["9.tasks.api", "api.shop slots "],
    ["tasks.api.other", "api.other slots 1"], // For want of ready ones.
    ["tasks.other", "tasks.other"], // No service `other` here: it is a service called `tasks`.
    ["tasks.web", "web.shop slots "],
    ["_8080._tcp.api", "api.shop tcp/8080"],
    ["_53._udp.tasks.api.other", "api.other slots 1 udp/53"],
    ["nothing", "unknown"],
    ["_8080._tcp.nothing", "unknown"],
    ["nothing.shop", "foreign"],
    ["example.com", "foreign"],
    ["api.shop.example.com", "foreign"],
    ["nothing.berth.internal", "unknown"],
    ["berth.internal", "unknown"],
    ["", "foreign"],
    ["_http._tcp.example.com", "foreign"],
  ] as const
) {
  Deno.test(`"${name}" means: ${meaning}`, () => assertEquals(found(name), meaning));
}
