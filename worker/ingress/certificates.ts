/**
 * The certificates of the routes, as this node's proxy needs them: asked of the server, and kept in memory
 * alone. While the server is away, what is known goes on being used, be there a newer version or not.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import { describeError } from "../../api/client.ts";
import { decodeBase64 } from "../../kv/schema/base64.ts";
import type { Pin } from "../../kv/schema/resolved.ts";
import type { Log } from "../log.ts";
import type { Pem } from "./caddy_config.ts";

export interface Certificates {
  /** Asks for what is missing or old; answers whether all of it is here, or gone for good. */
  refresh(pins: readonly Pin[], signal: AbortSignal): Promise<boolean>;
  /** The newest version that is known, not older than was ever asked for if that could be had. */
  get(pin: Pin): Pem | undefined;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----\n?/g;
const GONE = [403, 404];

export function createCertificates(
  { client, nodeId, log }: { client: Pick<Client, "certificate">; nodeId: string; log: Log },
): Certificates {
  const known = new Map<string, { version: number; pem: Pem }>();
  /** What the server has said of a version that it does not give. */
  const gone = new Map<string, number>();

  async function ask(pin: Pin, signal: AbortSignal): Promise<boolean> {
    const answered = await client.certificate(nodeId, pin.id, { signal });
    if (answered.ok) {
      const { version, data } = answered.value;
      known.set(pin.id, { version, pem: splitPem(data) });
      return true;
    }
    const { error } = answered;
    if (!signal.aborted) {
      log("warn", "cannot get a certificate", { secret: pin.id, reason: describeError(error) });
    }
    if (error.kind !== "problem" || !GONE.includes(error.problem.status)) return false;
    gone.set(pin.id, pin.version);
    return true;
  }

  return {
    async refresh(pins, signal) {
      const wanted = new Set(pins.map(({ id }) => id));
      for (const id of known.keys()) if (!wanted.has(id)) known.delete(id);
      for (const id of gone.keys()) if (!wanted.has(id)) gone.delete(id);
      let all = true;
      for (const pin of pins) {
        const { id, version } = pin;
        if ((known.get(id)?.version ?? 0) >= version || gone.get(id) === version) continue;
        all = await ask(pin, signal) && all;
      }
      return all;
    },
    get: ({ id }) => known.get(id)?.pem,
  };
}

/** The chain, and the key, of the text that has both. */
export function splitPem(data: string): Pem {
  const text = new TextDecoder().decode(decodeBase64(data) ?? new Uint8Array());
  const blocks = [...text.matchAll(BLOCK)];
  const of = (wanted: (label: string) => boolean) =>
    blocks.filter(([, label = ""]) => wanted(label)).map(([block]) => block.trimEnd() + "\n")
      .join("");
  return {
    chain: of((label) => label === "CERTIFICATE"),
    key: of((label) => label.endsWith("PRIVATE KEY")),
  };
}
