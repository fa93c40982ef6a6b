/**
 * What if: a fork of the world, changed as asked, left to come to rest, and compared with the world as
 * it is. Pure, and the world is not written to.
 *
 * @module
 */
import type { Forecast, ServiceForecast, TaskChange } from "../../kv/schema/forecast.ts";
import { type Node, NodeSpec } from "../../kv/schema/node.ts";
import type { Service, TaskTemplate } from "../../kv/schema/service.ts";
import type { World } from "../world.ts";
import { putNode, putService } from "../world_changes.ts";
import { changesOf } from "./changes.ts";
import { fork } from "./fork.ts";
import { fitsMore, nodesOf } from "./headroom.ts";
import { NO_TIME } from "./reduce.ts";
import { settle } from "./settle.ts";

/** A service as it would be stored. */
export interface SupposedService {
  service: Service;
  template: TaskTemplate;
  result: ServiceForecast["result"];
}

/** What is supposed, all of it at once. Nodes are named by their ids. */
export interface Hypothesis {
  fail: readonly string[];
  drain: readonly string[];
  add: readonly Node[];
  services: readonly SupposedService[];
}

export interface ForecastOptions {
  /** Monotonic ms of the world. */
  nowMs: number;
  /** Ids of tasks that never come to be. They sort after all others. */
  newId: () => string;
  /** Tell only of tasks that this hypothesis changes, or whose services it names. */
  onlyAsked?: boolean;
}

/** Counting how many more would fit is dear. */
const SERVICES_TOLD = 50;

export function forecast(
  world: World,
  hypothesis: Hypothesis,
  { nowMs, newId, onlyAsked = false }: ForecastOptions,
): Forecast {
  const after = fork(world);
  const silent = suppose(after, hypothesis, nowMs);
  const { settled, reasons } = settle(after, { nowMs, newId, silent });
  const asked = new Set(hypothesis.services.map(({ service }) => service.id));
  const changes = changesOf({ before: world, after, reasons, ...(onlyAsked ? { asked } : {}) });
  return {
    changes,
    counts: countsOf(changes),
    services: servicesOf(world, after, hypothesis),
    nodes: nodesOf(world, after),
    settled,
  };
}

/** Changes the world as supposed; answers the ids of the nodes that are silent in it. */
function suppose(world: World, hypothesis: Hypothesis, nowMs: number): Set<string> {
  const silent = new Set(hypothesis.fail);
  for (const [id, { status }] of world.nodes) if (status?.state === "down") silent.add(id);
  for (const id of hypothesis.drain) {
    const record = world.nodes.get(id);
    if (!record) continue;
    const { node, status } = record;
    const spec = { ...record.spec, availability: "drain" as const };
    putNode(world, { node, spec, ...(status ? { status } : {}) }, nowMs);
  }
  for (const node of hypothesis.add) {
    const status = { state: "ready" as const, since: NO_TIME, why: "supposed" };
    putNode(world, { node, spec: NodeSpec.parse({}), status }, nowMs);
  }
  for (const { service, template } of hypothesis.services) putService(world, service, template);
  return silent;
}

function countsOf(changes: readonly TaskChange[]): Forecast["counts"] {
  const counts = { new: 0, placed: 0, moved: 0, replaced: 0, stopped: 0, unplaceable: 0 };
  for (const { kind } of changes) counts[kind]++;
  return counts;
}

/** Those of the hypothesis in its order, then the others by name. */
function servicesOf(before: World, after: World, { services }: Hypothesis): ServiceForecast[] {
  const results = new Map(services.map(({ service, result }) => [service.id, result]));
  const others = [...after.services.values()].map(({ service }) => service)
    .filter(({ id, deleting }) => !results.has(id) && !deleting)
    .sort((a, b) => `${a.project}/${a.name}` < `${b.project}/${b.name}` ? -1 : 1);
  const told = [...services.map(({ service }) => service), ...others].slice(0, SERVICES_TOLD);
  return told.map(({ id, name, project, revision }) => {
    const known = before.services.has(id);
    return {
      ...(known ? { id, fitsBefore: fitsMore(before, id) } : {}),
      name,
      project,
      result: results.get(id) ?? "unchanged",
      revision,
      fitsAfter: fitsMore(after, id),
    };
  });
}
