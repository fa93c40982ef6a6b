/**
 * The HTTP probe. It does not use `fetch`: a probe must make a new connection each time, may name its
 * own Host, follows no redirect, and talks to containers with self-signed certificates.
 *
 * @module
 */
import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { HttpProbe } from "../../kv/schema/health.ts";
import type { z } from "zod";
import { type Endpoint, failed, KEPT_BYTES, type ProbeResult } from "./result.ts";

/** One request. Passes when the status is in the range, as soon as the headers are there. */
export function probeHttp(
  { hostname, port }: Endpoint,
  { path, scheme, headers, status }: z.output<typeof HttpProbe>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const options = {
      host: hostname,
      port,
      path,
      method: "GET",
      agent: false,
      headers: { "user-agent": "berth-probe", accept: "*/*", ...headers },
    };
    const sent = scheme === "https"
      ? httpsRequest({ ...options, rejectUnauthorized: false })
      : httpRequest(options);
    const abort = () => settle(failed("given up"));
    const settle = (result: ProbeResult) => {
      signal.removeEventListener("abort", abort);
      sent.destroy();
      resolve(result);
    };
    sent.on("error", (error) => settle(failed(`${hostname}:${port}: ${error.message}`)));
    sent.on("response", (response) => {
      const code = response.statusCode ?? 0;
      if (code >= status.from && code <= status.to) return settle({ kind: "pass" });
      readStart(sent, response, (text) => {
        settle(failed(`HTTP ${code}${text.trim() === "" ? "" : `: ${text}`}`));
      });
    });
    if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort, { once: true });
      sent.end();
    }
  });
}

/** The first bytes of a body, whatever ends it. */
function readStart(
  sent: ClientRequest,
  response: IncomingMessage,
  done: (text: string) => void,
): void {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  response.on("data", (data: Uint8Array) => {
    const wanted = data.subarray(0, KEPT_BYTES - bytes);
    bytes += wanted.length;
    text += decoder.decode(wanted, { stream: true });
    if (bytes >= KEPT_BYTES) done(text);
  });
  response.on("end", () => done(text));
  response.on("error", () => done(text));
  sent.on("close", () => done(text));
}
