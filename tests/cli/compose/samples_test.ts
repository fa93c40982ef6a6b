import { assertEquals } from "@std/assert";
import { withSteps } from "../../../cli/compose/expand.ts";
import { specOf } from "../../../cli/compose/map/service.ts";
import { projectIn } from "./support.ts";

const SAMPLES = new URL("samples/", import.meta.url);
const EXAMPLES = new URL("../../../examples/", import.meta.url);

/** The services of each file, and what mode they got. */
const EXPECTED: Record<string, string[]> = {
  "samples/proxied_api.yaml": ["proxy replicated", "api replicated", "cache replicated"],
  "samples/monitoring.yaml": ["exporter global", "collector replicated", "watchdog replicated"],
  "samples/built_app.yaml": [
    ...["migrate job", "backend-pre-start-1 job", "backend replicated", "frontend replicated"],
  ],
  "samples/fixed_addresses.yaml": ["resolver replicated", "filter replicated"],
  "samples/blog.yaml": ["db replicated", "blog replicated"],
  "examples/postgres": ["db replicated"],
  "examples/web": ["redis replicated", "web replicated"],
  "examples/worker": ["prepare job", "worker replicated", "cleanup cron"],
};

async function texts(): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const { name } of Deno.readDir(SAMPLES)) {
    found.push([`samples/${name}`, await Deno.readTextFile(new URL(name, SAMPLES))]);
  }
  for await (const { name } of Deno.readDir(EXAMPLES)) {
    const text = await Deno.readTextFile(new URL(`${name}/compose.yaml`, EXAMPLES));
    found.push([`examples/${name}`, text]);
  }
  return found;
}

Deno.test("every sample and example is a plan, each service with the mode that is meant", async () => {
  const found: Record<string, string[]> = {};
  for (const [name, text] of await texts()) {
    const project = withSteps(await projectIn(text, { options: { profiles: ["*"] } }));
    found[name] = [...project.services.values()].map((service) =>
      `${service.name} ${specOf(project, service).mode.type}`
    );
  }
  assertEquals(found, EXPECTED);
});
