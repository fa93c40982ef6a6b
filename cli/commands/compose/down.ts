/**
 * `berth down`: removes what `berth up` made.
 *
 * @module
 */
import type { ServiceView } from "../../../kv/schema/service.ts";
import { removeAndWait } from "../../compose/apply.ts";
import { startBoard } from "../../compose/board.ts";
import { isFromCompose } from "../../compose/changes.ts";
import { watchProject } from "../../compose/watch.ts";
import { fittedName } from "../../compose/load.ts";
import { ownVolumes } from "../../compose/map/mounts.ts";
import type { SealedView } from "../../../kv/schema/sealed.ts";
import type { VolumeView } from "../../../kv/schema/volume.ts";
import type { ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { isNotFound, listAll } from "../../find.ts";
import { asked, fail, failCall } from "../../report.ts";
import { whileLocked } from "./locked.ts";
import { printOutcomes } from "./print.ts";
import { type ProjectFlags, readProject } from "./project.ts";

export interface DownFlags extends ProjectFlags {
  removeOrphans: boolean;
  volumes: boolean;
}

const DEFAULT_TIMEOUT_MS = 120_000;

interface Target {
  project: string;
  /** Names in the cluster, those that others depend on first; absent: all that `up` made. */
  waves?: string[][];
  /** The project's own; absent: all of it. */
  volumes?: string[];
}

export async function down(flags: DownFlags, deps: ServerDeps): Promise<ExitCode> {
  const target = await targetOf(flags, deps);
  if ("code" in target) return target.code;
  const { project } = target;
  if (flags.volumes) {
    const refused = await askForVolumes(target, deps);
    if (refused !== undefined) return refused;
  }
  return await whileLocked(project, "berth down", deps, async (held) => {
    const listed = await listAll((query) => deps.client.listServices({ ...query, project }));
    if (!listed.ok) return failCall(deps, listed.error, `cannot look at project ${project}`);
    const waves = removalWaves(target, listed.value, flags);
    const names = waves.flat().map(({ name }) => name);
    const board = startBoard(deps, names);
    const watch = watchProject({
      ...{ client: deps.client, clock: deps.clock, project, onSeen: board.see },
      timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      signal: held.signal,
    });
    const removed = new Set<string>();
    let code: ExitCode = EXIT.ok;
    for (const wave of waves) {
      if (held.signal.aborted) break;
      await Promise.all(wave.map(async (view) => {
        board.say(view.name, "removing", "busy");
        const gone = await removeAndWait(view, deps.client, watch);
        if (gone.ok) removed.add(view.name);
        else if (!held.signal.aborted && code === EXIT.ok) {
          code = failCall(deps, gone.error, `cannot remove ${view.name}`);
        }
        board.say(view.name, gone.ok ? "removed" : "not removed yet", gone.ok ? "good" : "bad");
      }));
    }
    board.stop();
    await watch.close();
    await printOutcomes(
      deps,
      names.map((service) => ({
        ...{ service, project, revision: 0 },
        result: removed.has(service) ? "removed" : "not removed",
      })),
    );
    if (!held.signal.aborted) {
      return code === EXIT.ok ? await removeData(target, flags, deps) : code;
    }
    return fail(
      deps,
      "interrupted: what was asked to go goes on by itself; the rest was not tried",
      "carry on with: berth down",
      EXIT.interrupted,
    );
  });
}

/** Undefined when they may go. Nothing brings them back, so a script has to say that it means them. */
async function askForVolumes(
  target: Target,
  deps: ServerDeps,
): Promise<ExitCode | undefined> {
  const { project } = target;
  const listed = await listAll((query) => deps.client.listVolumes({ ...query, project }));
  if (!listed.ok) return failCall(deps, listed.error, `cannot look at project ${project}`);
  const names = meant(listed.value, target).map(({ name }) => name);
  if (names.length === 0) return undefined;
  const what = `volume${names.length === 1 ? "" : "s"} ${names.join(", ")} of ${project}`;
  const answer = asked(
    deps,
    `Remove ${what} and everything in ${names.length === 1 ? "it" : "them"}?`,
  );
  if (answer === "yes") return undefined;
  if (answer === "no") return fail(deps, "nothing was changed", "", EXIT.failed);
  const next = "if that is meant: berth down -v --yes\nnothing was changed";
  return fail(deps, `-v would remove ${what}, with everything in it`, next, EXIT.usage);
}

/** Of the project's volumes, those that the files define; without files, all. */
function meant(all: readonly VolumeView[], { volumes }: Target): VolumeView[] {
  return all.filter(({ name }) => volumes?.includes(name) ?? true);
}

/** Without files, -p alone says what is meant: all that was made from files. */
async function targetOf(
  flags: DownFlags,
  deps: ServerDeps,
): Promise<Target | { code: ExitCode }> {
  const named = flags.project === undefined ? undefined : fittedName(flags.project);
  const alone = named !== undefined && flags.file.length === 0;
  const read = await readProject({ ...flags, profile: ["*"] }, [], deps, { quietIfMissing: alone });
  if (!read.ok) return read.missing && alone ? { project: named } : { code: read.code };
  const { project } = read;
  const waves = project.waves.map((wave) =>
    wave.map((name) => project.services.get(name)?.berthName ?? name)
  );
  return { project: project.name, waves, volumes: ownVolumes(project) };
}

/** What `up` made and nobody uses any more: values, and the volumes when they are meant too. */
async function removeData(
  target: Target,
  flags: DownFlags,
  { client, ...deps }: ServerDeps,
): Promise<ExitCode> {
  const { project } = target;
  const [secrets, configs, all] = await Promise.all([
    listAll((query) => client.listSecrets({ ...query, project })),
    listAll((query) => client.listConfigs({ ...query, project })),
    listAll((query) => client.listVolumes({ ...query, project })),
  ]);
  const unused = (list: SealedView[]) =>
    list.filter((one) => isFromCompose(one) && one.usedBy.length === 0);
  for (const listed of [secrets, configs, all]) {
    if (!listed.ok) return failCall(deps, listed.error, `cannot look at project ${project}`);
  }
  const removals = [
    ...(secrets.ok ? unused(secrets.value) : []).map((one) => client.deleteSecret(one.id, project)),
    ...(configs.ok ? unused(configs.value) : []).map((one) => client.deleteConfig(one.id, project)),
    ...(flags.volumes && all.ok ? meant(all.value, target) : [])
      .filter((one) => one.usedBy.length === 0)
      .map((one) => client.deleteVolume(one.id, { project })),
  ];
  for (const removal of removals) {
    const gone = await removal;
    if (!gone.ok && !isNotFound(gone.error)) {
      return failCall(deps, gone.error, "cannot remove data");
    }
  }
  return EXIT.ok;
}

/** Dependents go before what they depend on. */
function removalWaves(
  { waves }: Target,
  present: readonly ServiceView[],
  { removeOrphans }: DownFlags,
): ServiceView[][] {
  const known = new Map(present.map((view) => [view.name, view]));
  const named = (waves ?? []).map((wave) => wave.flatMap((name) => known.get(name) ?? []))
    .reverse();
  const inFiles = new Set(waves?.flat());
  const others = present.filter((view) => isFromCompose(view) && !inFiles.has(view.name));
  const all = waves === undefined || removeOrphans ? [others, ...named] : named;
  return all.filter((wave) => wave.length > 0);
}
