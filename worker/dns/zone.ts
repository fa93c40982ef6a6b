/**
 * Names of services: which ones there are, and what a name means to a container of a project. Pure.
 *
 * In a container of project `shop`:
 *
 *     api, api.shop                  the service: one address, whatever becomes of its tasks
 *     shop_api, api.internal         aliases of it, as they were given
 *     api.other                      a service of another project
 *     tasks.api, tasks.api.other     its ready tasks, an address each
 *     2.tasks.api                    the ready task in slot 2
 *     _8080._tcp.api                 (SRV) where port 8080 is; also of tasks.api, and without _8080._tcp
 *
 * and each of these, with its project, below `berth.internal`.
 *
 * @module
 */
import type { Endpoint, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Protocol } from "../../kv/schema/port.ts";

/** All names also exist below this one, which is set aside for private use: nobody else answers it. */
export const SUFFIX = "berth.internal";

export interface Zone {
  find(project: string, name: string): ServiceEndpoints | undefined;
  byId(serviceId: string): ServiceEndpoints | undefined;
}

export function createZone(services: Iterable<ServiceEndpoints>): Zone {
  const byId = new Map<string, ServiceEndpoints>();
  const byName = new Map<string, ServiceEndpoints>();
  for (const service of services) {
    byId.set(service.id, service);
    for (const alias of service.aliases) {
      const key = `${alias}.${service.project}`;
      if (!byName.has(key)) byName.set(key, service);
    }
  }
  // A service's own name comes before any other's alias.
  for (const service of byId.values()) byName.set(`${service.name}.${service.project}`, service);
  return {
    find: (project, name) => byName.get(`${name}.${project}`),
    byId: (id) => byId.get(id),
  };
}

export interface Found {
  kind: "found";
  service: ServiceEndpoints;
  /** Absent: the service as a whole. */
  tasks?: Endpoint[];
  /** Of an SRV name. */
  port?: { target: number; protocol: Protocol };
}

/** `unknown`: there is no such name. `foreign`: it is not for us to say. */
export type Lookup = Found | { kind: "unknown" } | { kind: "foreign" };

/** What a name, in lower case, means to a container of `project`. */
export function lookup(zone: Zone, name: string, project: string): Lookup {
  const all = name.split(".");
  const ours = name === SUFFIX || name.endsWith(`.${SUFFIX}`);
  const { port, labels } = splitPort(ours ? all.slice(0, -SUFFIX.split(".").length) : all);
  const found = findTasks(zone, labels, project) ?? findService(zone, labels, project);
  if (found) return { kind: "found", ...found, ...(port ? { port } : {}) };
  // One label alone is nobody's but ours: no resolver of the world knows it. (The root has none.)
  return { kind: ours || (labels.length === 1 && labels[0] !== "") ? "unknown" : "foreign" };
}

function splitPort(labels: string[]): { labels: string[]; port?: Found["port"] } {
  const [first = "", second = ""] = labels;
  const target = /^_(\d{1,5})$/.exec(first)?.[1];
  const protocol = /^_(tcp|udp)$/.exec(second)?.[1];
  if (target === undefined || protocol === undefined) return { labels };
  return {
    labels: labels.slice(2),
    port: { target: Number(target), protocol: protocol === "udp" ? "udp" : "tcp" },
  };
}

type Meant = Pick<Found, "service" | "tasks">;

function findService(zone: Zone, labels: string[], project: string): Meant | undefined {
  const [name, of = project, ...rest] = labels;
  if (name === undefined) return undefined;
  const service = (rest.length === 0 ? zone.find(of, name) : undefined) ??
    zone.find(project, labels.join(".")); // An alias may have dots.
  return service && { service };
}

function findTasks(zone: Zone, labels: string[], project: string): Meant | undefined {
  const slot = /^[1-9]\d{0,6}$/.test(labels[0] ?? "") ? Number(labels[0]) : undefined;
  const [word, ...of] = slot === undefined ? labels : labels.slice(1);
  if (word !== "tasks") return undefined;
  const service = findService(zone, of, project)?.service;
  if (!service) return undefined;
  const tasks = serving(service);
  return {
    service,
    tasks: slot === undefined ? tasks : tasks.filter((task) => task.slot === slot),
  };
}

/** The ready tasks; when there are none, those that may still be there. */
function serving({ endpoints }: ServiceEndpoints): Endpoint[] {
  const ready = endpoints.filter(({ state }) => state === "ready");
  return ready.length > 0 ? ready : endpoints.filter(({ state }) => state === "unreachable");
}

/** The full name of a service, or of a slot of it. */
export function fullName({ name, project }: ServiceEndpoints, slot?: number): string {
  const service = `${name}.${project}.${SUFFIX}`;
  return slot === undefined ? service : `${slot}.tasks.${service}`;
}
