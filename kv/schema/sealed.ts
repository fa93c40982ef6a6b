/**
 * Secrets and configs: named, versioned values that tasks get as files. They differ in who may see them
 * (a secret is shown to nobody, not even to its creator) and where the file lies.
 *
 * @module
 */
import { z } from "zod";
import { decodeBase64 } from "./base64.ts";
import { Id, Labels, Name, Timestamp } from "./common.ts";

export const SealedKind = z.enum(["secret", "config"]);
export type SealedKind = z.infer<typeof SealedKind>;

/** As Docker has it; wider than a DNS label, since these names become file names only. */
export const DataName = z.string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/,
    "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', starting and ending with a letter or digit",
  )
  .meta({ description: "1 to 64 characters", examples: ["db_password"] });

/** As in Docker: larger things are for volumes and images. */
export const MAX_VALUE_BYTES = 500 * 1024;
const MAX_VALUE_TEXT = Math.ceil(MAX_VALUE_BYTES / 3) * 4;
/** Where secrets lie in a container, in memory. */
export const SECRETS_DIR = "/run/secrets";

/** The object's row. Its values are rows of their own, one or more for each version. */
export const Sealed = z.object({
  id: Id,
  kind: SealedKind,
  project: Name,
  name: DataName,
  labels: Labels,
  /** The number of the newest value. */
  version: z.int().min(1),
  /** Its removal was begun: no service may refer to it any more. */
  removing: z.boolean().optional(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
});
export type Sealed = z.infer<typeof Sealed>;

/** A part of a value, encrypted (AES-256-GCM). What it belongs to is authenticated with it. */
export const SealedPart = z.object({
  /** Which key it is sealed with. */
  keyId: z.string(),
  nonce: z.instanceof(Uint8Array),
  data: z.instanceof(Uint8Array),
  /** How many parts the value has. */
  parts: z.int().min(1),
});
export type SealedPart = z.infer<typeof SealedPart>;

const Data = z.string().max(MAX_VALUE_TEXT, "must be at most 500 KiB before encoding")
  .refine((text) => decodeBase64(text) !== undefined, "must be base64")
  .meta({ description: "The value in base64", contentEncoding: "base64" });

export const SealedRequest = z.object({
  name: DataName,
  project: Name.default("default"),
  labels: Labels.default({}),
  data: Data,
}).meta({ id: "SealedRequest", description: "A new secret or config" });
export type SealedRequest = z.infer<typeof SealedRequest>;
export type SealedRequestInput = z.input<typeof SealedRequest>;

export const ValueRequest = z.object({
  data: Data,
  labels: Labels.optional().meta({ description: "Replaces the labels; absent: they stay" }),
}).meta({ id: "ValueRequest", description: "A new value" });
export type ValueRequest = z.infer<typeof ValueRequest>;

export const SealedView = Sealed.omit({ removing: true }).extend({
  usedBy: z.array(Name).meta({ description: "Services of the project that refer to it" }),
}).meta({ id: "Sealed", description: "A secret or config, without its value" });
export type SealedView = z.infer<typeof SealedView>;

export const ValueView = z.object({
  version: z.int().min(1),
  data: z.string().meta({ description: "The value in base64", contentEncoding: "base64" }),
}).meta({ id: "Value", description: "One value of a config" });
export type ValueView = z.infer<typeof ValueView>;

const Target = z.string().min(1).max(4096).regex(/^[^\0]+$/, "must be a path")
  .refine(
    (path) => !/(^|\/)\.\.?(\/|$)|\/\/|\/$/.test(path),
    "must be a path without '.', '..' and empty parts",
  );
const Owner = z.int().min(0).max(2 ** 32 - 2);

const FileFields = {
  source: DataName.meta({ description: "Its name in the service's project" }),
  uid: Owner.default(0).meta({ description: "Owner of the file" }),
  gid: Owner.default(0).meta({ description: "Group of the file" }),
  mode: z.int().min(0).max(0o777).default(0o444)
    .meta({ description: "Permissions of the file as a number: 292 is 0444" }),
};

export const SecretRef = z.object({
  ...FileFields,
  target: Target.optional().meta({
    description: `File in ${SECRETS_DIR}, or absolute path of a link to it; the name, when absent`,
  }),
}).meta({ id: "SecretRef", description: "A secret as a file in memory" });
export type SecretRef = z.infer<typeof SecretRef>;

export const ConfigRef = z.object({
  ...FileFields,
  target: Target.optional()
    .meta({ description: "Path of the file, from the root; the name, when absent" }),
}).meta({ id: "ConfigRef", description: "A config as a file" });
export type ConfigRef = z.infer<typeof ConfigRef>;

/** Where a reference's file lies. */
export function pathOf(kind: SealedKind, ref: { source: string; target?: string | undefined }) {
  const target = ref.target ?? ref.source;
  if (target.startsWith("/")) return target;
  return kind === "secret" ? `${SECRETS_DIR}/${target}` : `/${target}`;
}

/** A value as an agent gets it, for one task that it was assigned. */
export const TaskFile = z.object({
  kind: SealedKind,
  source: DataName,
  version: z.int().min(1),
  data: z.string(),
});
export const TaskFilesView = z.object({ files: z.array(TaskFile) })
  .meta({ id: "TaskFiles", description: "The secrets and configs of one task" });
export type TaskFilesView = z.infer<typeof TaskFilesView>;
