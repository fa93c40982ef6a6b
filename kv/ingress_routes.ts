/**
 * Routes: which service the ingress proxies pass which requests on to. Users' writes claim and free them,
 * in the commit of the service's row, as they do with published ports (ingress_ports.ts).
 *
 * 1. A place (host and path prefix) belongs to one service: its key is checked to be absent by the commit
 *    that sets it.
 * 2. Many new places would be more checks than a commit may have: they are guarded by the head, which
 *    every commit that changes places writes.
 * 3. A certificate is checked as it is now, and the commit checks that no secret of the project has
 *    changed since. It touches that head as well: a rotation that has found no user of it tries again.
 *
 * @module
 */
import { certificateTrouble } from "./certificates.ts";
import { key } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { Id } from "./schema/common.ts";
import type { Pin } from "./schema/resolved.ts";
import { certificateOf, type Route, routeName, routePlace } from "./schema/route.ts";
import { findSealed, openSealed } from "./sealed_reads.ts";
import { nameOf } from "./service_reads.ts";
import { getRows, type Kv } from "./store.ts";
import type { Vault } from "./vault.ts";

export interface RouteClaims {
  /** For the service's row: the versions of the certificates that its routes name. */
  certificates?: Record<string, Pin>;
  /** Adds the rows, and their guards, to the commit that writes the service's row. */
  addTo(op: Deno.AtomicOperation): Deno.AtomicOperation;
}

interface Claimant {
  id: string;
  project: string;
  /** The routes that it has so far. */
  held: readonly Route[];
}

type Problem = { field: string; message: string };

/** New places that are checked one by one: see CHECKED_ONE_BY_ONE of the ports. */
const CHECKED_ONE_BY_ONE = 1;

/** Works out what the routes take of the cluster; refused when another service has one of them. */
export async function claimRoutes(
  deps: { kv: Kv; newId: () => string; vault?: Vault },
  service: Claimant,
  routes: readonly Route[],
): Promise<Outcome<RouteClaims>> {
  const { kv } = deps;
  const head = await kv.get(key.routeHead());
  const taken = refuseTaken(service.id, routes, await readOwners(kv, service.id, routes));
  if (taken) return taken;
  const certified = await checkCertificates(deps, service.project, routes);
  if (!certified.ok) return certified;
  const wanted = new Set(routes.map(routePlace));
  const had = new Set(service.held.map(routePlace));
  const fresh = routes.filter((route) => !had.has(routePlace(route)));
  const freed = service.held.filter((route) => !wanted.has(routePlace(route)));
  const { certificates, guard } = certified.value;
  return done({
    ...(certificates ? { certificates } : {}),
    addTo(op) {
      if (guard) op.check(guard).set(guard.key, deps.newId()); // invariant 3
      if (fresh.length === 0 && freed.length === 0) return op;
      if (fresh.length > CHECKED_ONE_BY_ONE) op.check(head); // invariant 2
      for (const route of fresh) {
        const at = key.route(routePlace(route));
        if (fresh.length <= CHECKED_ONE_BY_ONE) op.check({ key: at, versionstamp: null });
        op.set(at, service.id);
      }
      for (const route of freed) op.delete(key.route(routePlace(route)));
      return op.set(key.routeHead(), service.id);
    },
  });
}

/** Who has which places. */
export interface RouteOwners {
  /** Ids of services, by place. */
  ids: ReadonlyMap<string, string>;
  /** How people know the service. */
  nameOf(id: string): string;
}

/** Refuses routes whose places another service has; undefined: none has. Pure. */
export function refuseTaken(id: string, routes: readonly Route[], { ids, nameOf }: RouteOwners) {
  const errors: Problem[] = [];
  for (const [i, route] of routes.entries()) {
    const owner = ids.get(routePlace(route));
    if (owner === undefined || owner === id) continue;
    const message = `${routeName(route)} is routed to ${nameOf(owner)}`;
    errors.push({ field: `routes.${i}.host`, message });
  }
  if (errors.length === 0) return undefined;
  return refuse("route-taken", errors.map(({ message }) => message).join("; "), {
    hint: "Choose another host or path, or remove the route from the service that has it: " +
      "`berth routes` lists them.",
    errors,
  });
}

/** As far as these routes are concerned. */
async function readOwners(kv: Kv, id: string, routes: readonly Route[]): Promise<RouteOwners> {
  const ids = new Map<string, string>();
  const names = new Map<string, string>();
  const rows = await getRows(kv, routes.map((route) => key.route(routePlace(route))), Id);
  for (const [at, route] of routes.entries()) {
    const owner = rows[at]?.row;
    if (owner === undefined) continue;
    ids.set(routePlace(route), owner);
    if (owner !== id) names.set(owner, await nameOf(kv, owner));
  }
  return { ids, nameOf: (owner) => names.get(owner) ?? owner };
}

interface Certified {
  certificates?: Record<string, Pin>;
  guard?: Deno.KvEntryMaybe<unknown>;
}

async function checkCertificates(
  { kv, vault }: { kv: Kv; vault?: Vault },
  project: string,
  routes: readonly Route[],
): Promise<Outcome<Certified>> {
  if (!routes.some(certificateOf)) return done({});
  if (!vault) throw new Error("routes with certificates need a vault to check them");
  const guard = await kv.get(key.dataHead(project));
  const certificates: Record<string, Pin> = {};
  const errors: Problem[] = [];
  for (const [i, route] of routes.entries()) {
    const name = certificateOf(route);
    if (name === undefined || certificates[name]) continue;
    const bad = (message: string) =>
      errors.push({ field: `routes.${i}.tls.certificate`, message: `secret ${name} ${message}` });
    const found = await findSealed(kv, { kind: "secret", ref: name, project });
    // By its name only: a rotation and a removal look for users by that.
    const row = found.ok ? found.value.row : undefined;
    if (row?.name !== name || row.project !== project || row.removing) {
      bad(`is not in project ${project}`);
      continue;
    }
    const opened = await openSealed({ kv, vault }, row, row.version);
    if (!opened.ok) return opened;
    const trouble = await certificateTrouble(opened.value);
    if (trouble) bad(trouble);
    else certificates[name] = { id: row.id, version: row.version };
  }
  if (errors.length === 0) return done({ certificates, guard });
  return refuse("invalid", errors.map(({ message }) => message).join("; "), {
    hint: "Create it (berth secret create) or give it another value (berth secret rotate): the " +
      "certificate chain and its private key, both as PEM.",
    errors,
  });
}
