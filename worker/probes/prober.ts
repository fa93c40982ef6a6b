/**
 * Carrying out one probe. The network's prober is below; the simulated engine has its own.
 *
 * 1. A probe settles soon after its signal aborts, and leaves no connection and no command behind.
 * 2. What is kept of an answer is bounded: some bytes of a body or of an output, on one line.
 * 3. Only the task can fail: an engine that does not answer tells nothing about it (`unknown`).
 *
 * @module
 */
import type { AgentProbe } from "../../kv/schema/health.ts";
import type { BoundPort } from "../../kv/schema/task.ts";
import type { Runtime } from "../runtime.ts";
import { probeHttp } from "./http.ts";
import { type Endpoint, failed, KEPT_BYTES, oneLine, type ProbeResult } from "./result.ts";

export type { ProbeResult } from "./result.ts";

/** What there is to probe. */
export interface ProbeTarget {
  taskId: string;
  /** Which of the task's checks asks. */
  purpose: "health" | "readiness";
  probe: AgentProbe;
  /** The container's own address. */
  address?: string;
  ports: readonly BoundPort[];
}

export interface Prober {
  /** Bounded by `signal`; what a probe returns after its abort is not looked at. */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult>;
}

export interface ProberOptions {
  exec: Runtime["exec"];
  /** The containers' own addresses can be reached: the engine is on this machine. */
  direct: boolean;
  /** Where published ports answer: the way to containers that cannot be reached directly. */
  engineHost: string;
}

/** Probes over the network and with commands. */
export function createProber({ exec, direct, engineHost }: ProberOptions): Prober {
  return {
    async probe(target, signal) {
      const { probe } = target;
      if (probe.type === "exec") return await probeExec(exec, target.taskId, probe.command, signal);
      const endpoint = endpointOf(target, probe.port, { direct, engineHost });
      if (!endpoint) {
        return failed(
          `port ${probe.port} cannot be reached from the agent, which has no way to the ` +
            "container's network: publish the port",
        );
      }
      return probe.type === "http"
        ? await probeHttp(endpoint, probe, signal)
        : await probeTcp(endpoint, signal);
    },
  };
}

/** Where a port of the container answers: at its own address, or published. */
export function endpointOf(
  { address, ports }: Pick<ProbeTarget, "address" | "ports">,
  port: number,
  { direct, engineHost }: Pick<ProberOptions, "direct" | "engineHost">,
): Endpoint | undefined {
  if (direct && address !== undefined) return { hostname: address, port };
  const bound = ports.find(({ target, protocol }) => target === port && protocol === "tcp");
  if (!bound) return undefined;
  const anywhere = bound.hostIp === "0.0.0.0" || bound.hostIp === "::";
  return { hostname: anywhere ? engineHost : bound.hostIp, port: bound.published };
}

async function probeTcp(endpoint: Endpoint, signal: AbortSignal): Promise<ProbeResult> {
  try {
    const connection = await Deno.connect({ ...endpoint, transport: "tcp", signal });
    connection.close();
    return { kind: "pass" };
  } catch (error) {
    return failed(`${endpoint.hostname}:${endpoint.port}: ${messageOf(error)}`);
  }
}

async function probeExec(
  exec: Runtime["exec"],
  taskId: string,
  command: string[],
  signal: AbortSignal,
): Promise<ProbeResult> {
  const options = { command, tty: false, stdin: false, env: {} };
  const opened = await exec(taskId, options, signal);
  if (!opened.ok) {
    return opened.kind === "unavailable"
      ? { kind: "unknown", reason: opened.message } // invariant 3
      : failed(opened.message);
  }
  const session = opened.value;
  const close = () => void session.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    if (signal.aborted) return { kind: "unknown", reason: "given up" };
    const output = await keptOutput(session.output);
    const code = await session.exitCode();
    if (code === 0) return { kind: "pass" };
    return failed(`exit code ${code}${output === "" ? "" : `: ${output}`}`);
  } finally {
    signal.removeEventListener("abort", close);
    await session.close(); // invariant 1
  }
}

/** The beginning of an output, which is read to its end so that the command can go on. */
async function keptOutput(output: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  let bytes = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const { data } of output) {
    const wanted = data.subarray(0, Math.max(0, KEPT_BYTES - bytes));
    bytes += wanted.length;
    text += decoder.decode(wanted, { stream: true });
  }
  return oneLine(text);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
