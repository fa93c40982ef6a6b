/**
 * What a local demonstration needs of this machine's engine besides the worker: a composition root of
 * its own, started as a child process, so that the command line holds no engine client.
 *
 *     sample_image.ts info               what the engine is and what it may use
 *     sample_image.ts image TAG          makes the sample image, if the engine does not have it
 *     sample_image.ts kill CONTAINER     kills a container behind the agent's back
 *     sample_image.ts count NODE…        how many containers these nodes have, by id
 *
 * Prints one line of JSON: `{"ok": true, …}` or `{"ok": false, "message": …}`.
 *
 * @module
 */
import { ask, connectEngine, getInfo } from "./docker/client.ts";
import { type EngineConnection, findEngine } from "./docker/connect.ts";
import { importBusyboxImage } from "./docker/offline_image.ts";
import { LABEL } from "./runtime.ts";

const DEADLINE_MS = 20_000;

/** Serves a page that names its container, logs requests, and ends at once when it is stopped. */
const START = `#!/bin/sh
trap 'exit 0' TERM INT
mkdir -p /www
echo "Hello from $(hostname), run by Berth." > /www/index.html
echo "$(hostname) serves port 80"
httpd -f -v -p 80 -h /www &
wait
`;

type Answer = { ok: true; [key: string]: unknown } | { ok: false; message: string };

async function answer(verb: string | undefined, args: string[]): Promise<Answer> {
  const [argument = ""] = args;
  const found = await findEngine({
    env: Deno.env,
    exists: (path) => Deno.stat(path).then(() => true, () => false),
    readText: (path) => Deno.readTextFile(path),
  });
  if (!found.ok) return found;
  const signal = AbortSignal.timeout(DEADLINE_MS);
  switch (verb) {
    case "info":
      return await info(found.connection, signal);
    case "image":
      return await image(found.connection, argument, signal);
    case "kill":
      return await kill(found.connection, argument, signal);
    case "count":
      return await count(found.connection, args, signal);
    default:
      return { ok: false, message: `unknown verb "${verb}": use info, image, kill or count` };
  }
}

async function info(connection: EngineConnection, signal: AbortSignal): Promise<Answer> {
  using client = closing(connection);
  const machine = await ask("info", signal, (abortSignal) => getInfo(client.docker, abortSignal));
  if (!machine.ok) {
    return { ok: false, message: `${connection.description} does not answer: ${machine.message}` };
  }
  const { ServerVersion, NCPU, MemTotal } = machine.value;
  return {
    ok: true,
    engine: `docker ${ServerVersion}`,
    cpus: NCPU,
    memoryMiB: Math.floor(MemTotal / 1024 / 1024),
  };
}

async function image(
  connection: EngineConnection,
  tag: string,
  signal: AbortSignal,
): Promise<Answer> {
  using client = closing(connection);
  const present = await ask(
    "inspect",
    signal,
    () => client.docker.getImage(tag).inspect(),
  );
  if (present.ok) return { ok: true, made: false };
  const made = await importBusyboxImage(connection, {
    tag,
    cmd: ["/start.sh"],
    files: { "/start.sh": START },
    signal,
  });
  return made.ok ? { ok: true, made: true } : { ok: false, message: made.message };
}

async function kill(
  connection: EngineConnection,
  container: string,
  signal: AbortSignal,
): Promise<Answer> {
  using client = closing(connection);
  const killed = await ask(
    "kill",
    signal,
    (abortSignal) => client.docker.getContainer(container).kill({ abortSignal }),
  );
  return killed.ok ? { ok: true } : { ok: false, message: killed.message };
}

async function count(
  connection: EngineConnection,
  nodeIds: string[],
  signal: AbortSignal,
): Promise<Answer> {
  using client = closing(connection);
  let containers = 0;
  for (const nodeId of nodeIds) {
    const filters = { label: [`${LABEL.node}=${nodeId}`] };
    const listed = await ask(
      "list",
      signal,
      (abortSignal) => client.docker.listContainers({ all: true, filters, abortSignal }),
    );
    if (!listed.ok) return { ok: false, message: listed.message };
    containers += listed.value.length;
  }
  return { ok: true, containers };
}

function closing(connection: EngineConnection) {
  const client = connectEngine(connection);
  return { docker: client.docker, [Symbol.dispose]: () => client.close() };
}

if (import.meta.main) {
  const [verb, ...args] = Deno.args;
  const said = await answer(verb, args);
  console.log(JSON.stringify(said));
  Deno.exit(said.ok ? 0 : 1);
}
