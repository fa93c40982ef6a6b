/**
 * A certificate, for the agent of a node that runs an ingress proxy and for nobody else.
 *
 * @module
 */
import { certificatesOf, servicesIn } from "./data_users.ts";
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { encodeBase64 } from "./schema/base64.ts";
import { Id } from "./schema/common.ts";
import { type CertificateView, INGRESS } from "./schema/ingress.ts";
import { Sealed } from "./schema/sealed.ts";
import { isTerminal } from "./schema/task_state.ts";
import { openSealed } from "./sealed_reads.ts";
import { getRow, type Kv } from "./store.ts";
import { readTask } from "./tasks.ts";
import type { Vault } from "./vault.ts";

/** Its newest version. */
export async function readCertificate(
  deps: { kv: Kv; vault: Vault },
  nodeId: string,
  secretId: string,
): Promise<Outcome<CertificateView>> {
  const { kv } = deps;
  if (!await runsIngress(kv, nodeId)) {
    return refuse("not-yours", `node ${nodeId} runs no ingress proxy`);
  }
  const row = (await getRow(kv, key.sealed("secret", secretId), Sealed))?.row;
  const used = row &&
    (await servicesIn(kv, row.project)).some((service) =>
      certificatesOf(service).includes(row.name)
    );
  if (!used) return refuse("not-found", `no route has a certificate in a secret ${secretId}`);
  const opened = await openSealed(deps, row, row.version);
  if (!opened.ok) return opened;
  const { name, version } = row;
  return done({ name, version, data: encodeBase64(opened.value) });
}

async function runsIngress(kv: Kv, nodeId: string): Promise<boolean> {
  const id = (await getRow(kv, key.serviceName(INGRESS.project, INGRESS.service), Id))?.row;
  if (id === undefined) return false;
  for await (const entry of kv.list({ prefix: prefix.assigned(nodeId) })) {
    const found = await readTask(kv, String(entry.key[2]));
    if (found?.task.serviceId === id && !isTerminal(found.state)) return true;
  }
  return false;
}
