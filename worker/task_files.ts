/**
 * The values of secrets and configs that this node's tasks need: asked of the server when a task is about
 * to start, and kept in memory as long as a task of the set refers to them. So a container is started
 * again while the control plane is away; and nothing of them is ever on the agent's disk.
 *
 * @module
 */
import { type CallError, type Client, describeError } from "../api/client.ts";
import type { Assignment } from "../kv/schema/agent.ts";
import { decodeBase64 } from "../kv/schema/base64.ts";
import { pathOf, type SealedKind } from "../kv/schema/sealed.ts";
import type { Outcome } from "./runtime.ts";

/** A file in a container. */
export interface ContainerFile {
  /** Secrets are never on a disk. */
  kind: SealedKind;
  /** Absolute. */
  path: string;
  data: Uint8Array;
  uid: number;
  gid: number;
  mode: number;
}

export interface TaskFiles {
  /** All files of the task, or why they cannot be had. */
  get(assignment: Assignment, signal: AbortSignal): Promise<Outcome<ContainerFile[]>>;
  /** Forgets what none of these refers to. */
  keep(assignments: Iterable<Assignment>): void;
}

type Asks = Pick<Client, "taskFiles">;

export function createTaskFiles(
  { client, nodeId }: { client: Asks; nodeId: string },
): TaskFiles {
  const values = new Map<string, Uint8Array>();

  async function ask(assignment: Assignment, signal: AbortSignal): Promise<Outcome> {
    const answered = await client.taskFiles(nodeId, assignment.taskId, { signal });
    if (!answered.ok) return failure(answered.error);
    for (const { kind, source, data } of answered.value.files) {
      const pin = assignment.resolved?.[`${kind}s`][source];
      const bytes = decodeBase64(data);
      if (pin && bytes) values.set(nameOf(kind, pin), bytes);
    }
    return { ok: true, value: undefined };
  }

  return {
    async get(assignment, signal) {
      const wanted = pinsOf(assignment);
      if (wanted.some(({ name }) => !values.has(name))) {
        const asked = await ask(assignment, signal);
        if (!asked.ok) return asked;
      }
      const files: ContainerFile[] = [];
      for (const { kind, name, ref } of wanted) {
        const data = values.get(name);
        if (!data) {
          const message = `the server did not send ${kind} ${ref.source}`;
          return { ok: false, kind: "unavailable", message };
        }
        const { uid, gid, mode } = ref;
        files.push({ kind, path: pathOf(kind, ref), data, uid, gid, mode });
      }
      return { ok: true, value: files };
    },
    keep(assignments) {
      const used = new Set<string>();
      for (const assignment of assignments) {
        for (const { name } of pinsOf(assignment)) used.add(name);
      }
      for (const name of values.keys()) if (!used.has(name)) values.delete(name);
    },
  };
}

function pinsOf({ template, resolved }: Assignment) {
  return (["secret", "config"] as const).flatMap((kind) =>
    template[`${kind}s`].map((ref) => {
      const pin = resolved?.[`${kind}s`][ref.source];
      return { kind, ref, name: pin ? nameOf(kind, pin) : `${kind} ${ref.source}` };
    })
  );
}

function nameOf(kind: SealedKind, { id, version }: { id: string; version: number }): string {
  return `${kind}/${id}/${version}`;
}

/** What is gone will not come back; everything else may. */
function failure(error: CallError): Outcome<never> {
  const gone = error.kind === "problem" && error.problem.status === 404;
  const message = `cannot get the secrets and configs: ${describeError(error)}`;
  return { ok: false, kind: gone ? "refused" : "unavailable", message };
}
