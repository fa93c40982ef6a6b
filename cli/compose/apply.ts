/**
 * Carrying out what `up` has to do: each service once those that it depends on are as far as it asks.
 *
 * 1. A service is one write: it is applied or it is not. An interruption, a failure or a lost lock
 *    starts no further write, and what was applied stays.
 * 2. Writes carry a key of their own, so that one whose answer was lost is not made twice.
 * 3. What changed since it was looked at is refused by the server, never overwritten.
 */
import type { CallError, Client, Result } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import { isNotFound } from "../find.ts";
import type { Change } from "./changes.ts";
import { standingOf } from "./conditions.ts";
import type { Dependency } from "./graph.ts";
import type { ComposeService } from "./resolve.ts";
import type { Waited, Watch } from "./watch.ts";

export type Outcome =
  | { kind: "created" | "changed" | "recreated" | "unchanged"; view: ServiceView }
  | { kind: "failed"; error: CallError }
  /** Not tried, and why. */
  | { kind: "skipped"; why: string };

export interface ApplyOptions {
  client: Client;
  watch: Watch;
  services: ReadonlyMap<string, ComposeService>;
  /** By the name in the cluster. */
  changes: ReadonlyMap<string, Change>;
  /** Unique to this `up`. */
  id: string;
  signal: AbortSignal;
  onOutcome(name: string, outcome: Outcome): void;
}

/** The outcome of each service, by the name in the cluster. */
export async function applyAll(options: ApplyOptions): Promise<Map<string, Outcome>> {
  const under = new Map<string, Promise<Outcome>>();
  const outcomeOf = (name: string): Promise<Outcome> => {
    const known = under.get(name);
    if (known) return known;
    const service = options.services.get(name);
    if (!service) throw new Error(`apply ${name}: it is not part of the project`);
    const outcome = applyOne(service, options, outcomeOf).then((done) => {
      options.onOutcome(service.berthName, done);
      return done;
    });
    under.set(name, outcome);
    return outcome;
  };
  const all = [...options.services.values()].map(async ({ name, berthName }) =>
    [berthName, await outcomeOf(name)] as const
  );
  return new Map(await Promise.all(all));
}

async function applyOne(
  service: ComposeService,
  options: ApplyOptions,
  outcomeOf: (name: string) => Promise<Outcome>,
): Promise<Outcome> {
  const change = options.changes.get(service.berthName);
  if (!change?.spec) throw new Error(`apply ${service.name}: there is no change for it`);
  if (change.kind === "unchanged" && change.current) {
    return { kind: "unchanged", view: change.current };
  }
  for (const dependency of service.dependsOn) {
    const problem = await problemWith(dependency, options, outcomeOf);
    if (problem !== undefined) return { kind: "skipped", why: problem };
  }
  if (options.signal.aborted) return { kind: "skipped", why: "interrupted" }; // invariant 1
  return await write(change, options);
}

/** Why a dependency stands in the way; it is waited for as long as it may still come about. */
async function problemWith(
  { name, condition, required }: Dependency,
  { services, changes, watch, signal }: ApplyOptions,
  outcomeOf: (name: string) => Promise<Outcome>,
): Promise<string | undefined> {
  const outcome = await outcomeOf(name);
  const unless = (why: string) => required ? why : undefined;
  if (outcome.kind === "failed" || outcome.kind === "skipped") {
    return unless(`${name} was not applied`);
  }
  const berthName = services.get(name)?.berthName ?? name;
  const known = changes.get(berthName)?.current;
  if (outcome.kind === "unchanged" && known && standingOf(known, condition).kind === "met") {
    return undefined;
  }
  const waited: Waited<string> = await watch.until(({ services: views }) => {
    const view = views.get(berthName);
    if (!view) return undefined;
    const standing = standingOf(view, condition);
    return standing.kind === "met" ? "" : standing.kind === "never" ? standing.why : undefined;
  });
  if (waited.kind === "done") return waited.value === "" ? undefined : unless(waited.value);
  if (signal.aborted) return "interrupted";
  const wish = condition.replace("service_", "").replaceAll("_", " ");
  return unless(
    waited.kind === "timeout" ? `${name} is not ${wish} yet` : `${name} cannot be looked at`,
  );
}

async function write(change: Change, options: ApplyOptions): Promise<Outcome> {
  const { client, id, watch } = options;
  const { spec, current, kind, name } = change;
  if (!spec) throw new Error(`apply ${name}: there is no spec`);
  const idempotencyKey = `${id}-${name}`; // invariant 2
  if (kind === "change" && current) {
    const put = await client.putService(current.id, spec, { ifMatch: current.version }); // invariant 3
    return put.ok ? { kind: "changed", view: put.value } : { kind: "failed", error: put.error };
  }
  if (current) {
    const gone = await removeAndWait(current, client, watch);
    if (!gone.ok) return { kind: "failed", error: gone.error };
    if (options.signal.aborted) return { kind: "skipped", why: "interrupted" };
  }
  const made = await client.createService(spec, { idempotencyKey });
  if (!made.ok) return { kind: "failed", error: made.error };
  return { kind: kind === "recreate" ? "recreated" : "created", view: made.value };
}

/** Removes a service and waits until its last container is gone. */
export async function removeAndWait(
  service: ServiceView,
  client: Client,
  watch: Watch,
): Promise<Result<void>> {
  if (!service.deleting) {
    const asked = await client.deleteService(service.id, service.project);
    if (!asked.ok && !isNotFound(asked.error)) return asked;
  }
  const waited = await watch.until(({ services }) =>
    services.get(service.name)?.id === service.id ? undefined : true
  );
  if (waited.kind === "done") return { ok: true, value: undefined };
  if (waited.kind === "error") return { ok: false, error: waited.error };
  const message = `${service.name} is being removed, and not gone yet`;
  return { ok: false, error: { kind: "unreachable", message } };
}
