/**
 * `berth curl`: one HTTP request to a service, through a forwarded port.
 *
 * @module
 */
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { forward } from "../forward.ts";
import { splitTarget } from "../format/forward.ts";
import { oneLine } from "../format/style.ts";
import { reach } from "../reach.ts";
import { fail, failCall } from "../report.ts";

export interface CurlFlags {
  method: string | undefined;
  header: [string, string][];
  data: string | undefined;
  include: boolean;
  fail: boolean;
  port: number | undefined;
  project: string | undefined;
}

const DEFAULT_PORT = 80;
const TIMEOUT_MS = 30_000;

export async function curl(
  flags: CurlFlags,
  target: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { ref, path } = splitTarget(target);
  const found = await reach(deps.client, ref, flags.project);
  if (!found.ok) return failCall(deps, found.error, `cannot reach ${ref}`);
  const { name, firstPort, chooseTask } = found.value;
  const port = flags.port ?? firstPort ?? DEFAULT_PORT;
  const body = await bodyOf(flags.data, deps);
  if (!body.ok) return fail(deps, body.message, "give a file that can be read", EXIT.usage);
  let trouble = "";
  const local = forward(deps.client, { hostname: "127.0.0.1", port: 0 }, {
    ...{ chooseTask, port },
    onTrouble: (message) => trouble = message,
  });
  try {
    const headers = new Headers([["host", name], ...flags.header]);
    const response = await fetch(`http://127.0.0.1:${local.port}${path}`, {
      method: flags.method ?? (body.text === undefined ? "GET" : "POST"),
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(deps.timeoutMs ?? TIMEOUT_MS),
      ...(body.text === undefined ? {} : { body: body.text }),
    });
    if (flags.include) printHead(response, deps);
    for await (const bytes of response.body ?? []) deps.io.outBytes(bytes);
    return flags.fail && response.status >= 400 ? EXIT.failed : EXIT.ok;
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const reason = late ? "no answer in time" : trouble || messageOf(error);
    return fail(
      deps,
      `no answer from port ${port} of ${name}: ${oneLine(reason)}`,
      `see its tasks and ports: berth endpoints ${ref}\nanother port: berth curl -p PORT ${target}`,
      late ? EXIT.timeout : EXIT.failed,
    );
  } finally {
    await local.close();
  }
}

type Body = { ok: true; text?: string } | { ok: false; message: string };

async function bodyOf(data: string | undefined, deps: ServerDeps): Promise<Body> {
  if (data === undefined) return { ok: true };
  if (!data.startsWith("@")) return { ok: true, text: data };
  try {
    return { ok: true, text: await deps.readTextFile(data.slice(1)) };
  } catch (error) {
    return { ok: false, message: `cannot read ${data.slice(1)}: ${oneLine(messageOf(error))}` };
  }
}

function printHead({ status, statusText, headers }: Response, { io }: ServerDeps): void {
  io.out(`HTTP ${status}${statusText === "" ? "" : ` ${statusText}`}\n`);
  for (const [name, value] of headers) io.out(`${name}: ${value}\n`);
  io.out("\n");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
