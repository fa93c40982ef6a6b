/**
 * Which image a task runs: what its tag stands for is settled once for a revision, by the first node that
 * starts a task of it, so that all tasks run the same.
 *
 * 1. What is settled is run, whatever this node has or its registry says.
 * 2. A digest is settled before a container is made of it: while the server is away a task whose image
 *    has one, and whose revision is not settled, waits.
 * 3. An image that this node has without a digest came from no registry, and is run by its tag.
 * 4. Credentials are asked for each pull and kept nowhere.
 *
 * @module
 */
import { type CallError, type Client, describeError } from "../api/client.ts";
import type { Assignment } from "../kv/schema/agent.ts";
import { parseImage, type PullLogin } from "../kv/schema/registry.ts";
import type { EngineCalls } from "./engine_calls.ts";
import type { Outcome } from "./runtime.ts";

export type Login = NonNullable<PullLogin["login"]>;

export interface Images {
  /** The image that a task runs, as far as it is known. */
  known(assignment: Assignment): string;
  /** The image to make the container of; undefined when it must be pulled first. */
  choose(assignment: Assignment, signal: AbortSignal): Promise<Outcome<string | undefined>>;
  /** Makes the image present, and settles what it is. */
  pull(
    assignment: Assignment,
    signal: AbortSignal,
    onProgress: (text: string) => void,
  ): Promise<Outcome<string>>;
  /** Forgets what was settled for revisions of which there is no task. */
  keep(assignments: Iterable<Assignment>): void;
}

/** How a revision's image is run on this node. */
type Choice = { digest: string } | { byTag: true };

type Deps = {
  engine: Pick<EngineCalls, "imageDigest" | "pull">;
  client: Pick<Client, "pullLogin" | "settleDigest">;
  nodeId: string;
};

export function createImages({ engine, client, nodeId }: Deps): Images {
  const choices = new Map<string, Choice>();
  const underWay = new Map<string, Promise<Outcome<Choice | undefined>>>();
  const nameOf = ({ serviceId, revision }: Assignment) => `${serviceId}/${revision}`;

  function choiceOf(assignment: Assignment): Choice | undefined {
    const { digest } = assignment;
    if (digest !== undefined) return { digest }; // (1)
    return isFixed(assignment) ? { byTag: true } : choices.get(nameOf(assignment));
  }

  /** Looks at what this node has of the image, and settles it; undefined when it has none. */
  async function settle(
    assignment: Assignment,
    signal: AbortSignal,
  ): Promise<Outcome<Choice | undefined>> {
    const { image } = assignment.template;
    const found = await engine.imageDigest(image, signal);
    if (!found.ok || !found.value) return found.ok ? { ok: true, value: undefined } : found;
    const { digest } = found.value;
    let choice: Choice = { byTag: true }; // (3)
    if (digest !== undefined) {
      const told = await client.settleDigest(nodeId, assignment.taskId, { digest }, { signal });
      if (!told.ok) return cannot(`settle what ${image} stands for`, told.error); // (2)
      choice = { digest: told.value.digest };
    }
    choices.set(nameOf(assignment), choice);
    return { ok: true, value: choice };
  }

  /** Tasks of one revision that start together look once. */
  function settleOnce(assignment: Assignment, signal: AbortSignal) {
    const name = nameOf(assignment);
    const other = underWay.get(name);
    if (other) return other;
    const mine = settle(assignment, signal).finally(() => underWay.delete(name));
    underWay.set(name, mine);
    return mine;
  }

  async function login({ taskId }: Assignment, signal: AbortSignal) {
    const asked = await client.pullLogin(nodeId, taskId, { signal }); // (4)
    return asked.ok
      ? { ok: true as const, value: asked.value.login }
      : cannot("get the credentials for the pull", asked.error);
  }

  /** Makes the image present: pulls it unless that is not asked for. */
  async function fetch(
    assignment: Assignment,
    choice: Choice | undefined,
    { signal, onProgress }: { signal: AbortSignal; onProgress: (text: string) => void },
  ): Promise<Outcome<string>> {
    const image = imageOf(assignment, choice);
    const asTold = assignment.pull ? "always" : assignment.template.pullPolicy;
    // What a digest stands for does not change, so a copy that is here is good.
    const policy = choice && "digest" in choice ? "missing" : asTold;
    if (policy === "missing") {
      const found = await engine.imageDigest(image, signal);
      if (!found.ok) return found;
      if (found.value) return { ok: true, value: image };
    }
    const access = policy === "never"
      ? { ok: true as const, value: undefined }
      : await login(assignment, signal);
    if (!access.ok) return access;
    const options = { policy, onProgress, login: access.value };
    const pulled = await engine.pull(image, options, signal);
    if (!pulled.ok) return explained(pulled, assignment, { image, login: access.value });
    return { ok: true, value: image };
  }

  return {
    known: (assignment) => imageOf(assignment, choiceOf(assignment)),

    async choose(assignment, signal) {
      const choice = choiceOf(assignment);
      const { pullPolicy } = assignment.template;
      if (choice) {
        const pulls = pullPolicy === "always" && "byTag" in choice;
        return { ok: true, value: pulls ? undefined : imageOf(assignment, choice) };
      }
      if (assignment.pull || pullPolicy === "always") return { ok: true, value: undefined };
      const settled = await settleOnce(assignment, signal);
      if (!settled.ok) return settled;
      return { ok: true, value: settled.value && imageOf(assignment, settled.value) };
    },

    async pull(assignment, signal, onProgress) {
      const before = choiceOf(assignment);
      const fetched = await fetch(assignment, before, { signal, onProgress });
      if (!fetched.ok || isFixed(assignment) || (before && "digest" in before)) return fetched;
      const settled = await settle(assignment, signal);
      if (!settled.ok) return settled;
      const { value: choice } = settled;
      // Another node may have been first, with another digest.
      return choice && "digest" in choice
        ? await fetch(assignment, choice, { signal, onProgress })
        : fetched;
    },

    keep(assignments) {
      const used = new Set(Array.from(assignments, nameOf));
      for (const name of choices.keys()) if (!used.has(name)) choices.delete(name);
    },
  };
}

/** There is nothing to settle. */
function isFixed({ template: { image, pullPolicy } }: Assignment): boolean {
  return pullPolicy === "never" || parseImage(image).digest !== undefined;
}

function imageOf({ template: { image } }: Assignment, choice: Choice | undefined): string {
  return choice && "digest" in choice ? `${parseImage(image).repository}@${choice.digest}` : image;
}

function cannot(what: string, error: CallError): Outcome<never> {
  return {
    ok: false,
    kind: "unavailable",
    message: `cannot ${what}: ${describeError(error)}`,
  };
}

const DENIED = /denied|unauthorized|authentication required|no basic auth/i;
const GONE = /not found|manifest unknown/i;

/** The engine's words, with what to do about them. */
function explained(
  failure: Extract<Outcome, { ok: false }>,
  { service, project, template }: Assignment,
  { image, login }: { image: string; login: Login | undefined },
): Outcome<never> {
  const { registry, digest } = parseImage(image);
  let advice = "";
  if (DENIED.test(failure.message)) {
    advice = login
      ? `the credentials of ${login.username} for ${login.registry} do not do: ` +
        `berth login ${login.registry}`
      : `there are no credentials for ${registry}: berth login ${registry}`;
  } else if (digest !== undefined && image !== template.image && GONE.test(failure.message)) {
    advice = `its revision runs that digest; \`berth update ${project}/${service} --pull\` ` +
      `takes what ${template.image} is now`;
  }
  return advice === "" ? failure : { ...failure, message: `${failure.message} (${advice})` };
}
