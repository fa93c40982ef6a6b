/**
 * `berth inspect`: everything about one service, task or node.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { isNotFound, noSuch, refOf } from "../find.ts";
import { failCall, printValue } from "../report.ts";

export type InspectKind = "service" | "task" | "node";

export async function inspect(
  options: { kind: InspectKind | undefined; project: string | undefined },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await find(ref, options, deps);
  if (!found.ok) return failCall(deps, found.error, `cannot inspect ${ref}`);
  await printValue(deps, found.value, deps.view.output === "yaml" ? "yaml" : "json");
  return EXIT.ok;
}

async function find(
  ref: string,
  options: { kind: InspectKind | undefined; project: string | undefined },
  { client }: ServerDeps,
): Promise<Result<unknown>> {
  const { name, project } = refOf(ref, options.project);
  const asks: Record<InspectKind, () => Promise<Result<unknown>>> = {
    service: () => client.getService(name, project),
    task: () => client.getTask(name, project),
    node: () => client.getNode(name),
  };
  const order: InspectKind[] = options.kind ? [options.kind] : ["service", "task", "node"];
  for (const kind of order) {
    const answer = await asks[kind]();
    if (answer.ok || !isNotFound(answer.error)) return answer;
  }
  return noSuch(options.kind ?? "service, task or node", name, project);
}
