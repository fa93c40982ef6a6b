/**
 * `berth port-forward`: local ports whose connections end in a service's containers.
 *
 * @module
 */
import type { Parsed } from "../command.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { forward, type Forwarding } from "../forward.ts";
import type { PortPair } from "../format/forward.ts";
import { oneLine } from "../format/style.ts";
import { reach } from "../reach.ts";
import { fail, failCall } from "../report.ts";

export async function portForward(
  { address, project }: { address: string | undefined; project: string | undefined },
  ref: string,
  ports: readonly Parsed<PortPair>[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const pairs: PortPair[] = [];
  for (const port of ports) {
    if (!port.ok) return fail(deps, `the port is invalid: ${port.message}`, "", EXIT.usage);
    pairs.push(port.value);
  }
  const found = await reach(deps.client, ref, project);
  if (!found.ok) return failCall(deps, found.error, `cannot forward to ${ref}`);
  const { name, chooseTask } = found.value;
  const hostname = address ?? "127.0.0.1";
  const open: Forwarding[] = [];
  const stop = Promise.withResolvers<void>();
  const disposers = (["SIGINT", "SIGTERM"] as const)
    .map((signal) => deps.io.onSignal(signal, () => stop.resolve()));
  try {
    for (const { local, remote } of pairs) {
      const onTrouble = (message: string) => deps.io.err(`berth: ${oneLine(message)}\n`);
      try {
        const at = { hostname, port: local };
        const made = forward(deps.client, at, { chooseTask, port: remote, onTrouble });
        open.push(made);
        deps.io.out(`${hostname}:${made.port} → ${name}:${remote}\n`);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return fail(
          deps,
          `cannot listen on ${hostname}:${local}: ${oneLine(reason)}`,
          `take another local port: berth port-forward ${ref} 0:${remote}`,
          EXIT.failed,
        );
      }
    }
    await stop.promise;
    return EXIT.ok;
  } finally {
    for (const dispose of disposers) dispose();
    await Promise.all(open.map((one) => one.close()));
  }
}
