/**
 * Which image a revision's tag stands for.
 *
 * 1. A tag moves. The first node that is about to run a task of a revision says which digest it found;
 *    that holds for the revision from then on, wherever its tasks run. The row is written once and never
 *    changed, and goes with the revision.
 * 2. A new revision with the same image takes the digest of the one before with it: who changes a variable
 *    does not ask for another image. Who asks for one (`pull`, or the pull policy `always`) gets it.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse, WRITE_ATTEMPTS } from "./outcome.ts";
import { revisionFor } from "./registries.ts";
import { DigestPin, type ImagePin, parseImage } from "./schema/registry.ts";
import type { Revision, ServiceSpec } from "./schema/service.ts";
import { getRow, getRows, type Kv } from "./store.ts";

/** Settles what the tag of a task's image stands for in its revision (1): the first word holds. */
export async function settleDigest(
  kv: Kv,
  { nodeId, taskId, digest }: { nodeId: string; taskId: string; digest: string },
): Promise<Outcome<DigestPin>> {
  const found = await revisionFor(kv, nodeId, taskId);
  if (!found.ok) return found;
  const { row: { serviceId, revision }, versionstamp } = found.value;
  const pin = key.digest(serviceId, revision);
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const known = await getRow(kv, pin, DigestPin);
    if (known) return done(known.row);
    const row: DigestPin = { digest };
    const op = kv.atomic().check({ key: pin, versionstamp: null })
      .check({ key: key.revision(serviceId, revision), versionstamp });
    if ((await op.set(pin, row).commit()).ok) return done(row);
    const still = await revisionFor(kv, nodeId, taskId);
    if (!still.ok) return still;
  }
  throw new Error(`the digest of task ${taskId} is neither there nor can be written`);
}

/** Adds to the commit of a revision the digest of the one before it, if it keeps that (2). */
export async function carryDigest(
  kv: Kv,
  op: Deno.AtomicOperation,
  { from, to }: { from: Revision; to: Revision },
): Promise<void> {
  const { image, pullPolicy } = to.template;
  if (to.pull || pullPolicy === "always" || image !== from.template.image) return;
  const known = await getRow(kv, key.digest(from.serviceId, from.revision), DigestPin);
  if (known) op.set(key.digest(to.serviceId, to.revision), known.row);
}

/** Refuses to look up anew what no registry is asked about. */
export function refusePull(
  { name, template: { image, pullPolicy } }: ServiceSpec,
): Extract<Outcome<never>, { ok: false }> | undefined {
  const isPinned = parseImage(image).digest !== undefined;
  if (!isPinned && pullPolicy !== "never") return undefined;
  return refuse("invalid", `there is nothing to pull anew for service ${name}`, {
    hint: "Name another image, or another pull policy.",
    errors: [
      isPinned
        ? { field: "template.image", message: "names its digest" }
        : { field: "template.pullPolicy", message: "is never" },
    ],
  });
}

/** What the tags of these revisions stand for; `undefined` where that is not settled. */
export async function digestsOf(
  kv: Kv,
  revisions: readonly Pick<Revision, "serviceId" | "revision">[],
): Promise<(string | undefined)[]> {
  const keys = revisions.map(({ serviceId, revision }) => key.digest(serviceId, revision));
  return (await getRows(kv, keys, DigestPin)).map((pin) => pin?.row.digest);
}

/** `hasRun`: there is a task of the revision whose container was made. */
export function imagePin(
  { image, pullPolicy }: Revision["template"],
  { settled, hasRun }: { settled: string | undefined; hasRun: boolean },
): ImagePin {
  const digest = parseImage(image).digest ?? settled;
  if (digest !== undefined) return { digest };
  if (pullPolicy === "never") {
    return { note: "run by its tag: the pull policy is never, so each node runs what it has" };
  }
  return {
    note: hasRun
      ? "run by its tag: it has no digest on its node, so it came from no registry"
      : "not settled: the first node that has the image says what its tag stands for",
  };
}
