/**
 * Bringing the values of secrets and configs to the cluster. A value that is there already changes
 * nothing; one that differs is a new version, which its services get.
 *
 * @module
 */
import type { Client, Result } from "../../api/client.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { MAX_VALUE_BYTES, type SealedView } from "../../kv/schema/sealed.ts";
import { EXIT, exitOf } from "../exit.ts";
import { isNotFound } from "../find.ts";
import type { Lookup } from "./interpolate.ts";
import { COMPOSE_LABEL } from "./map/service.ts";
import type { ValueSource } from "./map/files.ts";
import { ComposeError } from "./tree.ts";

export interface Value extends Pick<ValueSource, "kind" | "name" | "labels"> {
  /** In base64. A secret: it is printed nowhere. */
  data: string;
}

/** Reads the values; throws a {@link ComposeError} for one that cannot be had. */
export async function readValues(
  sources: readonly ValueSource[],
  around: { readFile(path: string): Promise<Uint8Array>; env: Lookup },
): Promise<Value[]> {
  return await Promise.all(sources.map(async ({ kind, name, labels, from, at }) => {
    const bytes = await bytesOf(from).catch((error: unknown) => {
      if (error instanceof ComposeError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new ComposeError(`${kind} ${name}: cannot read its file: ${why}`, at);
    });
    if (bytes.length > MAX_VALUE_BYTES) {
      throw new ComposeError(
        `${kind} ${name}: its value is over ${MAX_VALUE_BYTES / 1024} KiB`,
        at,
      );
    }
    return { kind, name, labels, data: encodeBase64(bytes) };

    async function bytesOf(source: ValueSource["from"]): Promise<Uint8Array> {
      const encoder = new TextEncoder();
      if ("file" in source) return await around.readFile(source.file);
      if ("content" in source) return encoder.encode(source.content);
      const value = around.env(source.environment);
      if (value !== undefined) return encoder.encode(value);
      const message = `${kind} ${name}: the variable ${source.environment} is not set`;
      throw new ComposeError(message, at, "set it where the command runs");
    }
  }));
}

/** Creates the value, or makes it the newest. */
export async function uploadValue(
  { kind, name, labels, data }: Value,
  { client, project, id }: { client: Client; project: string; id: string },
): Promise<Result<SealedView>> {
  const [create, rotate] = kind === "secret"
    ? [client.createSecret, client.rotateSecret]
    : [client.createConfig, client.rotateConfig];
  const own = { ...labels, [COMPOSE_LABEL]: name };
  const key = (what: string) => ({ idempotencyKey: `${id}-${kind}-${name}-${what}` });
  const rotated = await rotate(name, { data, labels: own }, project, key("rotate"));
  if (rotated.ok || !isNotFound(rotated.error)) return rotated;
  const made = await create({ name, project, labels: own, data }, key("create"));
  // Somebody made it in between.
  const raced = !made.ok && exitOf(made.error) === EXIT.conflict;
  return raced ? await rotate(name, { data, labels: own }, project, key("again")) : made;
}
