/**
 * The secrets and configs of one task, for the agent of its node and for nobody else.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { getRevision } from "./revisions.ts";
import { encodeBase64 } from "./schema/base64.ts";
import { Sealed, type TaskFilesView } from "./schema/sealed.ts";
import { isTerminal } from "./schema/task_state.ts";
import { openSealed } from "./sealed_reads.ts";
import { getRow, type Kv } from "./store.ts";
import { readTask } from "./tasks.ts";
import type { Vault } from "./vault.ts";

export async function readTaskValues(
  deps: { kv: Kv; vault: Vault },
  nodeId: string,
  taskId: string,
): Promise<Outcome<TaskFilesView>> {
  const { kv } = deps;
  const found = await readTask(kv, taskId);
  if (found?.task.nodeId !== nodeId || isTerminal(found.state) || found.task.desired === "stop") {
    return refuse("not-found", `node ${nodeId} is not to run a task ${taskId}`);
  }
  const { serviceId, revision } = found.task;
  const resolved = (await getRevision(kv, serviceId, revision))?.resolved;
  const files: TaskFilesView["files"] = [];
  for (const kind of ["secret", "config"] as const) {
    for (const [source, { id, version }] of Object.entries(resolved?.[`${kind}s`] ?? {})) {
      const row = (await getRow(kv, key.sealed(kind, id), Sealed))?.row;
      if (!row) return refuse("not-found", `${kind} ${source} was removed`);
      const opened = await openSealed(deps, row, version);
      if (!opened.ok) return opened;
      files.push({ kind, source, version, data: encodeBase64(opened.value) });
    }
  }
  return done({ files });
}
