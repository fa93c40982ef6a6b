/**
 * Images for the examples where the real ones cannot be had: scripts on busybox that speak as much of the
 * protocols as the examples use.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { importBusyboxImage } from "../../worker/docker/offline_image.ts";

export const WEB_IMAGE = "berth-test/page:1";
export const REDIS_IMAGE = "berth-test/redis:1";
export const POSTGRES_IMAGE = "berth-test/postgres:1";

/** Listens and ends when told to, which a shell with the first process id does not by itself. */
const listen = (port: number, session: string) =>
  `trap 'exit 0' TERM INT\nnc -ll -p ${port} -e ${session} &\nwait\n`;

/** Redis' inline commands, as far as the example uses them. */
export const REDIS_FILES = {
  "/etc/passwd": "redis:x:999:999::/:/bin/sh\n",
  "/start.sh": `#!/bin/sh\n${listen(6379, "/session.sh")}`,
  "/session.sh": `#!/bin/sh
while read -r line; do
  set -- \${line%?}
  case $1 in
    PING) printf '+PONG\\r\\n' ;;
    INCR) echo x >> /data/$2; printf ':%d\\r\\n' $(grep -c x /data/$2) ;;
    QUIT) printf '+OK\\r\\n'; exit ;;
  esac
done
`,
  "/usr/bin/redis-cli":
    "#!/bin/sh\nprintf 'PING\\r\\nQUIT\\r\\n' | nc 127.0.0.1 6379 | grep -q PONG\n",
};

/** Each start writes the password that it was given to the volume. */
export const POSTGRES_FILES = {
  "/start.sh": `#!/bin/sh
cat $POSTGRES_PASSWORD_FILE >> /var/lib/postgresql/data/log
echo >> /var/lib/postgresql/data/log
${listen(5432, "/bin/true")}`,
  "/usr/bin/pg_isready": "#!/bin/sh\nexec nc 127.0.0.1 5432 < /dev/null\n",
};

/** An image of busybox that starts `/start.sh`. */
export async function makeStandIn(
  connection: EngineConnection,
  tag: string,
  files: Record<string, string>,
): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const made = await importBusyboxImage(connection, { tag, cmd: ["/start.sh"], files, signal });
  assert(made.ok, JSON.stringify(made));
}
