/**
 * From the flags of `berth run` to a service's spec. Pure.
 *
 * @module
 */
import { namesUpdate, type ServiceFlags, withFlags } from "./service_spec.ts";
import type { Parsed } from "./command.ts";
import type { FileRef, MountInput } from "./format/quantity.ts";
import { modeName, modeOf, type ModeOptions } from "./run_mode.ts";
import type { Port, ServiceSpecInput } from "../kv/schema/service.ts";

export interface RunOptions extends ModeOptions, Partial<ServiceFlags> {
  name: string | undefined;
  detach: boolean;
  rm: boolean;
  env: [string, string][];
  publish: Port[];
  volume?: MountInput[];
  secret?: FileRef[];
  config?: FileRef[];
  cpus: number | undefined;
  memory: number | undefined;
  /** What to set aside when it is not the limit. */
  reserveCpus?: number | undefined;
  reserveMemory?: number | undefined;
  interactive?: boolean;
  tty?: boolean;
  user?: string | undefined;
  workdir?: string | undefined;
  entrypoint?: string | undefined;
  label: [string, string][];
  replicas: number | undefined;
  project: string | undefined;
}

/** Time after its end at which the leader removes a `--rm` job whose CLI did not. */
export const REMOVE_AFTER_MS = 60_000;

/**
 * A detached run is a service that is kept running; a foreground run, and a detached one with
 * `--rm`, is a job that runs once.
 */
export function runSpec(
  options: RunOptions,
  image: string,
  command: string[],
  random: () => number,
): Parsed<ServiceSpecInput> {
  const name = modeName(options, options);
  const job = name === "job" || name === "cron";
  if (name === "job" && options.mode === undefined && options.replicas !== undefined) {
    return {
      ok: false,
      message: options.rm
        ? "--replicas and --rm exclude each other: what is removed when it ends is a job"
        : "--replicas needs -d: a foreground run is one job",
    };
  }
  const mode = modeOf(options, { ...options, removeAfterMs: REMOVE_AFTER_MS });
  if (!mode.ok) return mode;
  if (job && options.restart === "any") {
    return {
      ok: false,
      message: name === "cron"
        ? "--restart any is not for cron: a run ends when its command does"
        : "--restart any needs -d without --rm: a job ends when its command does",
    };
  }
  if (job && namesUpdate(options)) {
    return { ok: false, message: "--update-… and --rollback-… need -d: jobs are not updated" };
  }
  const limit = { cpus: options.cpus ?? 0, memoryMiB: options.memory ?? 0 };
  const reserve = {
    cpus: options.reserveCpus ?? limit.cpus,
    memoryMiB: options.reserveMemory ?? limit.memoryMiB,
  };
  const labels = Object.fromEntries(options.label);
  const spec: ServiceSpecInput = {
    name: options.name ?? generateName(image, random),
    labels,
    mode: mode.value,
    template: {
      image,
      env: Object.fromEntries(options.env),
      labels,
      ports: options.publish,
      ...(options.volume?.length ? { mounts: options.volume } : {}),
      ...(options.secret?.length ? { secrets: options.secret } : {}),
      ...(options.config?.length ? { configs: options.config } : {}),
      reserve,
      limit,
      restart: { condition: job ? "none" : "any" },
      ...processOf(options),
      ...(command.length > 0 ? { command } : {}),
    },
    ...(options.project === undefined ? {} : { project: options.project }),
  };
  return withFlags(spec, options);
}

/**
 * How the main process begins. Input that is passed on ends where it comes from, unless it comes from a
 * terminal: one may leave that and come back.
 */
function processOf(
  { interactive, tty, user, workdir, entrypoint, detach }: RunOptions,
): Partial<ServiceSpecInput["template"]> {
  const stdinOnce = !tty && !detach;
  return {
    ...(interactive ? { container: { stdinOpen: true, ...(stdinOnce ? { stdinOnce } : {}) } } : {}),
    ...(tty ? { tty } : {}),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workingDir: workdir }),
    ...(entrypoint === undefined ? {} : { entrypoint: [entrypoint] }),
  };
}

const SUFFIX = "23456789abcdefghjkmnpqrstvwxyz";

/** A name made of the image's and four random characters: `nginx-k3f9`. */
export function generateName(image: string, random: () => number): string {
  const base = (image.split("@")[0]?.split("/").at(-1)?.split(":")[0] ?? "")
    .toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  let suffix = "";
  for (let i = 0; i < 4; i++) suffix += SUFFIX[Math.floor(random() * SUFFIX.length)] ?? "x";
  return `${base || "run"}-${suffix}`;
}
