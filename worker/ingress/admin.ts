/**
 * Caddy's admin API, on a socket inside its container: the agent runs Caddy's own client there, which any
 * engine can do, wherever it is. The configuration goes in by the command's input, since it has keys.
 *
 * @module
 */
import { INGRESS } from "../../kv/schema/ingress.ts";
import type { Outcome, Runtime } from "../runtime.ts";
import type { Json } from "./caddy_config.ts";

export interface CaddyAdmin {
  /** Makes it the configuration in effect. Resolves once the servers of the one before are leaving. */
  load(taskId: string, config: Json, signal: AbortSignal): Promise<Outcome>;
}

const COMMAND = ["caddy", "reload", "--config", "-", "--address", INGRESS.admin];
const KEPT_CHARS = 2_000;
const REASON_CHARS = 400;
/** A configuration with certificates to check takes its time; the servers before leave for 0.3 s. */
const LOAD_MS = 20_000;

export function createCaddyAdmin(runtime: Pick<Runtime, "exec">): CaddyAdmin {
  return {
    async load(taskId, config, outer) {
      const signal = AbortSignal.any([outer, AbortSignal.timeout(LOAD_MS)]);
      const opened = await runtime.exec(taskId, {
        ...{ command: COMMAND, env: {}, tty: false, stdin: true },
      }, signal);
      if (!opened.ok) return opened;
      const session = opened.value;
      const close = () => void session.close();
      signal.addEventListener("abort", close, { once: true });
      if (signal.aborted) close();
      try {
        const said = lastChars(session.output);
        await session.write(new TextEncoder().encode(JSON.stringify(config)));
        session.endInput();
        const text = await said;
        if (signal.aborted) return failure("unavailable", "Caddy did not take its configuration");
        const code = await session.exitCode();
        if (code === 0) return { ok: true, value: undefined };
        return failure("refused", reasonIn(text) || `exit code ${code}`);
      } finally {
        signal.removeEventListener("abort", close);
        await session.close();
      }
    },
  };
}

/** What the client says at its end, after its log; of a long chain of reasons the last ones. */
function reasonIn(text: string): string {
  const at = text.lastIndexOf("Error: ");
  const said = (at === -1 ? text : text.slice(at + "Error: ".length)).replaceAll('\\"', '"');
  return said.replace(/\s+/g, " ").trim().slice(-REASON_CHARS);
}

async function lastChars(output: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const { data } of output) {
    text = (text + decoder.decode(data, { stream: true })).slice(-KEPT_CHARS);
  }
  return text;
}

function failure(kind: "unavailable" | "refused", message: string): Outcome<never> {
  return { ok: false, kind, message };
}
