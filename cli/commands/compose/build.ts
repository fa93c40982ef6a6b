/**
 * The images of a project, built with this machine's engine before anything is changed in the cluster.
 *
 * @module
 */
import { resolve } from "node:path/posix";
import { buildKitNeed } from "../../compose/dockerfile.ts";
import type { Build, BuildPlan } from "../../compose/map/build.ts";
import { BUILD_LABEL } from "../../compose/map/service.ts";
import type { Builder, ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { startProgress } from "../../progress.ts";
import { fail } from "../../report.ts";
import type { ServiceSpec } from "../../../kv/schema/service.ts";
import { warn } from "./project.ts";

export interface BuildFlags {
  build: boolean;
  noBuild: boolean;
}

/** The id of each image that was built, by its name. */
export type Images = ReadonlyMap<string, string>;

export async function buildImages(
  builds: readonly Build[],
  { flags, deps }: { flags: BuildFlags; deps: ServerDeps },
): Promise<{ ok: true; images: Images } | { ok: false; code: ExitCode }> {
  const images = new Map<string, string>();
  const builder = builds.length === 0 || flags.noBuild ? undefined : await deps.builder();
  const interrupt = new AbortController();
  const { signal } = interrupt;
  const off = deps.io.onSignal("SIGINT", () => interrupt.abort());
  try {
    for (const build of builds) {
      if (build.kind === "elsewhere" || !builder) {
        expect(build, { why: whyNot(build, flags), deps });
        continue;
      }
      const due = await dueOf(build.plan, { flags, builder, deps, signal });
      if (due.kind === "elsewhere") expect(build, { why: due.why, deps });
      if (due.kind !== "due") continue;
      const built = await buildOne(build, { builder, deps, signal });
      if (signal.aborted) {
        const next = "nothing was changed in the cluster";
        return { ok: false, code: fail(deps, "interrupted", next, EXIT.interrupted) };
      }
      if (!built.ok) {
        const what = `cannot build ${build.plan.image}: ${built.message}`;
        const next = "correct its Dockerfile, or name an image that there is already\n" +
          "nothing was changed in the cluster";
        return { ok: false, code: fail(deps, what, next, EXIT.failed) };
      }
      images.set(build.plan.image, built.id);
    }
  } finally {
    off();
  }
  if (images.size > 0) await remindOfRegistry(images, deps);
  return { ok: true, images };
}

function whyNot(build: Build, { noBuild }: BuildFlags): string {
  if (build.kind === "elsewhere") return build.why;
  return noBuild ? "--no-build" : "this machine has no engine";
}

function expect(build: Build, { why, deps }: { why: string; deps: ServerDeps }): void {
  const image = build.kind === "plan" ? build.plan.image : build.image;
  warn(deps, [
    `${build.services.join(", ")}: the image ${image} is expected, built beforehand: ${why}`,
  ]);
}

/**
 * As Compose has it: what is there is built anew only when that is asked for. An engine that may not be
 * asked is none.
 */
async function dueOf(
  plan: BuildPlan,
  { flags, builder, deps, signal }: {
    flags: BuildFlags;
    builder: Builder;
    deps: ServerDeps;
    signal: AbortSignal;
  },
): Promise<{ kind: "due" | "there" } | { kind: "elsewhere"; why: string }> {
  if (!flags.build && !plan.always) {
    const known = await builder.imageId(plan.image, signal);
    if (!known.ok) return { kind: "elsewhere", why: `${builder.where}: ${known.message}` };
    if (known.id !== undefined) return { kind: "there" };
  }
  const need = buildKitNeed(await dockerfileText(plan, deps));
  if (need === undefined) return { kind: "due" };
  const why = `its Dockerfile needs BuildKit (${need}): build it with docker compose build, or ` +
    `docker build -t ${plan.image}`;
  return { kind: "elsewhere", why };
}

/** Empty when it is elsewhere, or cannot be read: then the build says so. */
async function dockerfileText(
  { dockerfile, context }: BuildPlan,
  { readTextFile }: ServerDeps,
): Promise<string> {
  if ("text" in dockerfile) return dockerfile.text;
  if ("remote" in context) return "";
  return await readTextFile(resolve(context.dir, dockerfile.path)).catch(() => "");
}

async function buildOne(
  { plan }: Build & { kind: "plan" },
  { builder, deps, signal }: { builder: Builder; deps: ServerDeps; signal: AbortSignal },
) {
  const begin = `${plan.image}: building`;
  if (!deps.io.errIsTty && !deps.view.quiet) deps.io.err(`${begin}\n`);
  const progress = startProgress(deps, begin);
  try {
    const built = await builder.build(plan, {
      signal,
      onLine: (text) => progress.update(`${begin}: ${text}`),
    });
    return built;
  } finally {
    progress.stop();
  }
}

/** What `--dry-run` says of images. */
export async function sayBuilds(
  builds: readonly Build[],
  { flags, deps }: { flags: BuildFlags; deps: ServerDeps },
): Promise<void> {
  const builder = builds.length === 0 || flags.noBuild ? undefined : await deps.builder();
  const { signal } = new AbortController();
  for (const build of builds) {
    if (build.kind === "elsewhere" || !builder) expect(build, { why: whyNot(build, flags), deps });
    else {
      const due = await dueOf(build.plan, { flags, builder, deps, signal });
      const { image } = build.plan;
      if (due.kind === "elsewhere") expect(build, { why: due.why, deps });
      if (due.kind === "due") {
        warn(deps, [`${build.services.join(", ")}: the image ${image} would be built here`]);
      }
    }
  }
}

async function remindOfRegistry(images: Images, deps: ServerDeps): Promise<void> {
  const nodes = await deps.client.listNodes({ limit: 2 });
  if (!nodes.ok || nodes.value.items.length < 2) return;
  const names = [...images.keys()].join(", ");
  warn(deps, [
    `built on this machine: ${names}; nodes of other machines need it from a registry: push it`,
  ]);
}

/** A service whose image was built anew has to be made anew; which image that was, is on its tasks. */
export function withBuilt(specs: readonly ServiceSpec[], images: Images): ServiceSpec[] {
  return specs.map((spec) => {
    const id = images.get(spec.template.image);
    if (id === undefined) return spec;
    const labels = { ...spec.template.labels, [BUILD_LABEL]: id };
    return { ...spec, template: { ...spec.template, labels } };
  });
}
