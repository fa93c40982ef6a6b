/**
 * Registries of images: credentials for them, and the digest that a revision's tag was found to stand for.
 *
 * @module
 */
import { z } from "zod";
import { Timestamp } from "./common.ts";

/** The registry of images that name none. */
export const DEFAULT_REGISTRY = "docker.io";

/**
 * What credentials are for: a host with its port, as they stand before an image's name, and perhaps the
 * beginning of the path. The depth is bounded, since every beginning is looked up.
 */
export const RegistryName = z.string().max(255)
  .regex(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*){0,6}$/,
    "must be HOST, HOST:PORT, or one of these and the beginning of a path: HOST/TEAM",
  )
  .meta({
    description: "Host and port, and perhaps the beginning of the images' path",
    examples: ["ghcr.io", "registry.example.com:5000", "ghcr.io/shop"],
  });
const MAX_PATH = 6;

export const LoginRequest = z.object({
  username: z.string().min(1).max(256),
  password: z.string().min(1).max(16 * 1024)
    .meta({ description: "Password or token. Stored encrypted, and answered to nobody again" }),
}).meta({ id: "LoginRequest", description: "Credentials for a registry" });
export type LoginRequest = z.infer<typeof LoginRequest>;

/** The row: the password is sealed (kv/vault.ts). */
export const Registry = z.object({
  registry: RegistryName,
  username: z.string(),
  keyId: z.string(),
  nonce: z.instanceof(Uint8Array),
  data: z.instanceof(Uint8Array),
  updatedAt: Timestamp,
});
export type Registry = z.infer<typeof Registry>;

export const RegistryView = Registry.pick({ registry: true, username: true, updatedAt: true })
  .meta({ id: "Registry", description: "A registry that images are pulled from with credentials" });
export type RegistryView = z.infer<typeof RegistryView>;

/** What an agent gets for one pull. */
export const PullLogin = z.object({
  login: z.object({
    registry: z.string().meta({ description: "What the credentials were stored for" }),
    host: z.string().meta({ description: "Where the image is" }),
    username: z.string(),
    password: z.string(),
  }).optional(),
}).meta({
  id: "PullLogin",
  description: "Credentials for the image of one task, if there are any",
});
export type PullLogin = z.infer<typeof PullLogin>;

export const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "must be a sha256 digest")
  .meta({ description: "Digest of an image's manifest or index" });

export const DigestPin = z.object({ digest: Digest })
  .meta({ id: "DigestPin", description: "What an image's tag stands for, in one revision" });
export type DigestPin = z.infer<typeof DigestPin>;

/** How a service's image is told apart from what else its tag may stand for. */
export const ImagePin = z.object({
  digest: Digest.optional(),
  note: z.string().optional().meta({
    description: "Without a digest: what the tasks run, and why",
  }),
}).meta({ id: "ImagePin", description: "What the tag of a service's image stands for" });
export type ImagePin = z.infer<typeof ImagePin>;

/** An image reference in its parts. `tag` and `digest` are absent when it has none. */
export interface ImageName {
  /** Registry and path, as they were written. */
  repository: string;
  registry: string;
  /** Within the registry, in full. */
  path: string;
  tag?: string;
  digest?: string;
}

export function parseImage(image: string): ImageName {
  const [named = "", digest] = image.split("@");
  const slash = named.lastIndexOf("/");
  const colon = named.indexOf(":", slash + 1);
  const repository = colon === -1 ? named : named.slice(0, colon);
  const [first = "", ...rest] = repository.split("/");
  // As Docker has it: what has a dot or a port, or is this machine, is a host.
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const registry = isHost && first !== "index.docker.io" ? first : DEFAULT_REGISTRY;
  const written = isHost ? rest.join("/") : repository;
  const isShort = registry === DEFAULT_REGISTRY && !written.includes("/");
  return {
    repository,
    registry,
    path: isShort ? `library/${written}` : written,
    ...(colon === -1 ? {} : { tag: named.slice(colon + 1) }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The names under which credentials for an image may be stored, those that say most first. */
export function namesFor({ registry, path }: Pick<ImageName, "registry" | "path">): string[] {
  const parts = path.split("/").slice(0, MAX_PATH);
  return parts.map((_, i) => [registry, ...parts.slice(0, parts.length - i)].join("/"))
    .concat(registry);
}
