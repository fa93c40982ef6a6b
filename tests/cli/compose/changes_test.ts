import { assertEquals } from "@std/assert";
import { changesOf } from "../../../cli/compose/changes.ts";
import { withSteps } from "../../../cli/compose/expand.ts";
import { COMPOSE_LABEL, specOf } from "../../../cli/compose/map/service.ts";
import type { ServiceView } from "../../../kv/schema/service.ts";
import { projectIn } from "./support.ts";

const TEXT = `services:
  web: {image: w}
  debug_all: {image: d, profiles: [debug], pre_start: [{command: a}]}
`;

/** What `up` would do when these are there, made by it. */
async function kinds(present: string[], services: string[] = [], profiles: string[] = []) {
  const project = withSteps(await projectIn(TEXT, { options: { profiles }, services }));
  const specs = [...project.services.values()].map((service) => specOf(project, service));
  const views = present.map((name) => ({
    ...{
      name: name.replaceAll("_", "-"),
      labels: { [COMPOSE_LABEL]: name },
      template: { labels: {} },
    },
    deleting: true,
  }));
  return changesOf(specs, views as unknown as ServiceView[], project.resting)
    .map(({ kind, name }) => `${kind} ${name}`);
}

Deno.test("a service of the files is no orphan when its profile is off, or others are named", async () => {
  const all = ["web", "debug_all", "debug_all-pre-start-1", "gone"];
  assertEquals(await kinds(all), ["create web", "orphan gone"]);
  assertEquals(await kinds(all, ["debug_all"]), [
    ...["create debug-all-pre-start-1", "create debug-all", "orphan gone"],
  ]);
});

Deno.test("a step that a service has no more is an orphan", async () => {
  const found = await kinds(["debug_all-pre-start-2"], [], ["debug"]);
  assertEquals(found.filter((one) => one.startsWith("orphan")), ["orphan debug-all-pre-start-2"]);
});
