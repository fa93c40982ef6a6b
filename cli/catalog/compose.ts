/**
 * Commands for Compose files.
 *
 * @module
 */
import { flag, list, localCommand, serverCommand, value } from "../command.ts";
import { NO_WAIT } from "./global.ts";

const GROUP = "Compose files:";

const FILES = {
  file: list("-f, --file <file>", "A Compose file; several are merged; - is standard input"),
  project: value("-p, --project <name>", "Project; else the file's name:, or its directory"),
  projectDirectory: value("--project-directory <dir>", "What relative paths are relative to"),
  envFile: list("--env-file <path>", "Variables for the files, instead of .env"),
  profile: list("--profile <name>", "Turn on a profile; * is all of them"),
};
const ORPHANS = flag("--remove-orphans", "Also what was made from a file that has it no more");

export const composeCommands = [
  serverCommand({
    name: "up",
    group: GROUP,
    summary: "Make a project what its Compose files say",
    details: "Services that are as the files say are left alone. Others start in the order of\n" +
      "depends_on, whichever nodes they run on. Named services bring those that they depend on.\n" +
      "Ctrl-C: what was applied stays, the rest is not tried. docs/compose.md lists all keys.",
    args: "[service...]",
    options: {
      ...FILES,
      wait: flag("--wait", "Until everything is ready, and jobs have ended"),
      noWait: NO_WAIT,
      build: flag("--build", "Build images also when the engine of this machine has them"),
      noBuild: flag("--no-build", "Build nothing: images are expected where nodes find them"),
      dryRun: flag("--dry-run", "Say what would be done, and do nothing"),
      removeOrphans: ORPHANS,
    },
    examples: [
      ["berth up", "compose.yaml of this directory"],
      ["berth up -f compose.yaml -f prod.yaml -p shop --wait", "two files, and until it is ready"],
      ["berth up --build", "with images built anew by the engine of this machine"],
      ["berth up --dry-run", "what would be done"],
    ],
    run: async (options, names, deps) =>
      (await import("../commands/compose/up.ts")).up(options, names, deps),
  }),
  serverCommand({
    name: "down",
    group: GROUP,
    summary: "Remove what up made of a project",
    details: "Dependents go first. Without files, -p removes all that was made from files.\n" +
      "-v asks before it removes volumes; a script says --yes.",
    options: {
      ...FILES,
      removeOrphans: ORPHANS,
      volumes: flag("-v, --volumes", "Also the project's volumes, with what is in them"),
    },
    examples: [
      ["berth down", "the services of compose.yaml"],
      ["berth down -p shop", "all that up made of the project, without its files"],
      ["berth down -v --yes", "volumes and all, without a question"],
    ],
    run: async (options, _args, deps) =>
      (await import("../commands/compose/down.ts")).down(options, deps),
  }),
  serverCommand({
    name: "diff",
    group: GROUP,
    summary: "Show what up would change, field by field",
    details: "Exit code 1: something differs. Values of variables are not shown.",
    args: "[service...]",
    options: FILES,
    examples: [
      ["berth diff", "compose.yaml against the cluster"],
      ["berth diff -o json", "for scripts"],
    ],
    run: async (options, names, deps) =>
      (await import("../commands/compose/look.ts")).diff(options, names, deps),
  }),
  localCommand({
    name: "config",
    group: GROUP,
    summary: "Show how Compose files are understood",
    details: "Merged, with variables filled in and in long notation. -q only checks them.",
    args: "[service...]",
    options: {
      ...FILES,
      services: flag("--services", "Only the names of the services"),
      images: flag("--images", "Only the images"),
      schema: flag("--schema", "The JSON schema of x-berth, for editors"),
    },
    examples: [
      ["berth config", "compose.yaml of this directory"],
      ["berth config -q && berth up", "check first"],
      ["berth config --schema > berth.schema.json", "for an editor"],
    ],
    run: async (options, names, deps) =>
      (await import("../commands/compose/look.ts")).config(options, names, deps),
  }),
  localCommand({
    name: "convert",
    group: GROUP,
    summary: "Turn docker run lines into a Compose file, or back",
    details: "With a line, prints a Compose file; without, a docker run line for each service.",
    args: "[docker-run-line...]",
    passThrough: true,
    options: FILES,
    examples: [
      ["berth convert docker run -d -p 8080:80 --restart always nginx", "to a Compose file"],
      ["berth convert -f compose.yaml", "to docker run lines, in the order of depends_on"],
    ],
    run: async (options, words, deps) =>
      (await import("../commands/compose/convert.ts")).convert(options, words, deps),
  }),
];
