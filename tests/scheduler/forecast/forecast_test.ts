import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import type { Forecast } from "../../../kv/schema/forecast.ts";
import { type Node, NodeFacts } from "../../../kv/schema/node.ts";
import { TaskTemplate } from "../../../kv/schema/service.ts";
import {
  forecast,
  type Hypothesis,
  type SupposedService,
} from "../../../scheduler/forecast/forecast.ts";
import { fork } from "../../../scheduler/forecast/fork.ts";
import { obey } from "../../../scheduler/forecast/reduce.ts";
import { settle } from "../../../scheduler/forecast/settle.ts";
import type { World } from "../../../scheduler/world.ts";
import { dropTask, putService } from "../../../scheduler/world_changes.ts";
import { aWorld } from "../../support/random_world.ts";
import { addTask, converge, counter, idOf, nodes, world } from "../../support/world.ts";

const NOTHING: Hypothesis = { fail: [], drain: [], add: [], services: [] };

function ask(made: World, hypothesis: Partial<Hypothesis>, onlyAsked = false): Forecast {
  return forecast(made, { ...NOTHING, ...hypothesis }, {
    nowMs: 1000,
    newId: counter("z"),
    onlyAsked,
  });
}

/** The changes as lines: `moved web.1 n1→n2: why`. */
function lines({ changes }: Forecast): string[] {
  return changes.map(({ kind, name, from, to, why }) =>
    `${kind} ${name} ${from ?? ""}→${to ?? ""}${why ? `: ${why}` : ""}`
  );
}

function scaled(made: World, name: string, replicas: number): SupposedService {
  const record = made.services.get(idOf(name));
  const template = record?.templates.get(record.service.revision);
  if (!record || !template) throw new Error(`no service ${name}`);
  const mode = { type: "replicated" as const, replicas };
  return { service: { ...record.service, mode }, template, result: "changed" };
}

function node(name: string, cpus: number): Node {
  const facts = NodeFacts.parse({
    name,
    address: "10.0.0.9",
    capacity: { cpus, memoryMiB: 4096 },
    os: "linux",
    arch: "x86_64",
    runtime: "sim",
    engine: "sim 1",
    agentVersion: "0",
  });
  return { ...facts, id: idOf(name), joinedAt: "2026-01-01T00:00:00.000Z" };
}

const HALF = { template: { reserve: { cpus: 2, memoryMiB: 0 } } };

/** Two nodes of 4 cores; web has two tasks of 2 cores on them, batch one. */
function busy(): World {
  return world({
    nodes: nodes(2),
    services: [{ name: "web", replicas: 2, ...HALF }, { name: "batch", ...HALF }],
    tasks: [
      { id: "t1", service: "web", slot: 1, node: "n1" },
      { id: "t2", service: "web", slot: 2, node: "n2" },
      { id: "t3", service: "batch", slot: 1, node: "n1" },
    ],
  });
}

Deno.test("supposing nothing of a cluster at rest changes nothing", () => {
  const told = ask(busy(), {});
  assertEquals([lines(told), told.settled], [[], true]);
});

Deno.test("when a node fails, its tasks move while there is room, and the others say why not", () => {
  const told = ask(busy(), { fail: [idOf("n1")] });
  assertEquals(told.counts, {
    new: 0,
    placed: 0,
    moved: 1,
    replaced: 0,
    stopped: 0,
    unplaceable: 1,
  });
  const [batch, web] = lines(told);
  assertEquals(web, "moved web.1 n1→n2: node n1 is down");
  assertMatch(batch ?? "", /^unplaceable batch.1 n1→: 0 of 2 nodes fit: .*1 is down/);
  assertEquals(told.nodes[0]?.after.state, "down");
});

Deno.test("a drained node ends empty, and the room it leaves is told", () => {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "web", replicas: 2, template: { reserve: { cpus: 1, memoryMiB: 0 } } }],
    tasks: [
      { id: "t1", service: "web", slot: 1, node: "n1" },
      { id: "t2", service: "web", slot: 2, node: "n1" },
    ],
  });
  const told = ask(made, { drain: [idOf("n1")] });
  assertEquals(lines(told), [
    "moved web.1 n1→n2: node n1 is being drained",
    "moved web.2 n1→n2: node n1 is being drained",
  ]);
  assertEquals(told.nodes.map(({ node, before, after }) => [node, before?.tasks, after.tasks]), [
    ["n1", 2, 0],
    ["n2", 0, 2],
  ]);
  assertEquals(told.nodes[1]?.after.free.cpus, 2);
  assertEquals(told.services.map(({ fitsBefore, fitsAfter }) => [fitsBefore, fitsAfter]), [[6, 2]]);
});

Deno.test("added nodes take what waits, and add to the room", () => {
  const made = busy();
  putService(made, scaled(made, "web", 4).service);
  converge(made, counter("w"));
  const told = ask(made, { add: [node("new-1", 2)] });
  assertEquals(lines(told), ["placed web.4 →new-1"]);
  assertEquals(told.nodes.at(-1)?.before, undefined);
});

Deno.test("scaling says which slots are new, which are stopped, and which find no room", () => {
  const up = busy();
  const told = ask(up, { services: [scaled(up, "web", 4)] });
  assertEquals(lines(told).slice(0, 1), ["new web.3 →n2"]);
  assertMatch(lines(told)[1] ?? "", /^unplaceable web.4 →: 0 of 2 nodes fit: 2 lack CPU/);
  assertEquals(told.services.map(({ name, result }) => [name, result]), [
    ["web", "changed"],
    ["batch", "unchanged"],
  ]);
  const down = busy();
  assertEquals(lines(ask(down, { services: [scaled(down, "web", 1)] })), [
    "stopped web.2 n2→: scaled down to 1",
  ]);
});

Deno.test("a new template replaces every task, one after the other, to the end", () => {
  const made = busy();
  const { service } = scaled(made, "web", 2);
  const told = ask(made, {
    services: [{
      service: { ...service, revision: 2 },
      template: TaskTemplate.parse({ image: "app:2", reserve: { cpus: 2 } }),
      result: "changed",
    }],
  });
  const changed = told.changes.map(({ name, kind, why }) => [name, kind, why]);
  assertEquals(changed, [
    ["web.1", "replaced", "replaced by revision 2"],
    ["web.2", "replaced", "replaced by revision 2"],
  ]);
});

Deno.test("a service that is new is placed as it would be when created", () => {
  const made = busy();
  const { service, template } = scaled(made, "web", 1);
  const fresh = { ...service, id: "zz", name: "fresh" };
  const told = ask(made, { services: [{ service: fresh, template, result: "created" }] });
  assertEquals(lines(told), ["new fresh.1 →n2"]);
  assertEquals(told.services[0]?.fitsBefore, undefined);
});

Deno.test("tasks that wait anyway are told as such, and not at all when only the asked for count", () => {
  const made = busy();
  putService(made, scaled(made, "web", 4).service);
  converge(made, counter("w"));
  const [told] = ask(made, {}).changes;
  assertEquals([told?.name, told?.kind, told?.already], ["web.4", "unplaceable", true]);
  assertEquals(ask(made, {}, true).changes, []);
  assertEquals(ask(made, { services: [scaled(made, "web", 4)] }, true).counts.unplaceable, 1);
});

Deno.test("what is on its way is taken as arrived, and a back-off is waited for", () => {
  const made = busy();
  addTask(made, { id: "t4", service: "batch", slot: 2, node: "n2", state: "starting" });
  dropTask(made, "t2");
  addTask(made, {
    id: "t5",
    service: "web",
    slot: 2,
    node: "n2",
    state: "failed",
    failures: 3,
    endedAtMs: 900,
  });
  const told = ask(made, { services: [scaled(made, "batch", 2)] });
  assertEquals([lines(told), told.settled], [["new web.2 →n2"], true]);
});

/** Everything in a world, indices included, whatever the order of its maps. */
function inspect(made: World): string {
  return Deno.inspect(made, { depth: 12, iterableLimit: 1e6, sorted: true });
}

Deno.test("a forecast leaves the world as it is, and rests, whatever is supposed", () => {
  fc.assert(fc.property(aWorld, (input) => {
    const made = world(input);
    const ids = [...made.nodes.keys()];
    const before = inspect(made);
    const services = [...made.services.values()].slice(0, 2).map(({ service }) => ({
      service: { ...service, stopped: !service.stopped, revision: service.revision + 1 },
      template: TaskTemplate.parse({ image: "other" }),
      result: "changed" as const,
    }));
    const add = [node("new-1", 4)];
    const told = ask(made, { fail: ids.slice(0, 1), drain: ids.slice(1, 2), add, services });
    assertEquals(inspect(made), before);
    assert(told.settled);
  }));
});

Deno.test("a fork becomes what the world itself would become", () => {
  fc.assert(fc.property(aWorld, (input) => {
    const made = world(input);
    const copy = fork(made);
    const options = { nowMs: 0, silent: new Set<string>() };
    settle(copy, { ...options, newId: counter("z") });
    settle(made, { ...options, newId: counter("z") });
    assertEquals(inspect(copy), inspect(made));
  }));
});

Deno.test("nodes that are silent obey nothing", () => {
  const made = busy();
  addTask(made, { id: "t9", service: "web", slot: 3, node: "n1", state: "assigned" });
  obey(made, ["t9"], 0, new Set([idOf("n1")]));
  assertEquals(made.tasks.get("t9")?.state, "assigned");
  obey(made, ["t9"], 0);
  assert(made.tasks.get("t9")?.state === "running");
});

Deno.test("a service of 200,000 replicas that fit nowhere is told of in one walk over them", () => {
  const made = world({
    nodes: nodes(1),
    services: [{ name: "web", template: { reserve: { cpus: 9 } } }],
  });
  const told = ask(made, { services: [scaled(made, "web", 200_000)] });
  assertEquals([told.settled, told.counts.unplaceable], [true, 200_000]);
});
