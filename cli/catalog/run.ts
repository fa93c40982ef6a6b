/**
 * Commands that start, stop and remove things.
 *
 * @module
 */
import { choice, flag, list, serverCommand, value } from "../command.ts";
import { parseDuration } from "../format/duration.ts";
import {
  parseCount,
  parseCpus,
  parseFileRef,
  parseMemory,
  parseMount,
  parsePair,
  parsePort,
} from "../format/quantity.ts";
import { NO_WAIT, PROJECT } from "./global.ts";
import { SERVICE_FLAGS } from "./service_flags.ts";
import { EXIT } from "../exit.ts";

const GROUP = "Run things:";

export const runCommands = [
  serverCommand({
    name: "run",
    group: GROUP,
    summary: "Run an image: once, or with -d as a service",
    details: "Without -d: one job; its output is shown and its exit code is this command's.\n" +
      "Ctrl-C stops it; a second Ctrl-C leaves that to the cluster.\n" +
      "With -it: in this terminal; Ctrl-P, Ctrl-Q leaves it running.\n" +
      "With -d: a service that is kept running; prints its name.\n" +
      "Flags after IMAGE belong to COMMAND.",
    args: "<image> [command...]",
    passThrough: true,
    ownFailure: EXIT.own,
    options: {
      name: value("--name <name>", "Name of the service; made from the image if absent"),
      detach: flag("-d, --detach", "Keep it running in the background"),
      rm: flag("--rm", "Remove it when it has ended"),
      interactive: flag("-i, --interactive", "Pass standard input on to it"),
      tty: flag("-t, --tty", "Give it a terminal"),
      env: list("-e, --env <key=value>", "Environment variable; may be repeated", parsePair),
      envFile: list("--env-file <path>", "File of KEY=VALUE lines; may be repeated"),
      user: value("-u, --user <user>", "User, or user:group, or ids"),
      workdir: value("-w, --workdir <path>", "Directory to start in"),
      entrypoint: value("--entrypoint <command>", "Instead of the image's own; '' for none"),
      publish: list(
        "-p, --publish <[host:]port>",
        "Publish a port, like 80, 8080:80, 53/udp; may be repeated",
        parsePort,
      ),
      volume: list(
        "-v, --volume <source:target[:ro]>",
        "A named volume, or a path of the node, in the container; may be repeated",
        parseMount,
      ),
      secret: list("--secret <name[:target]>", "A secret as a file; may be repeated", parseFileRef),
      config: list("--config <name[:target]>", "A config as a file; may be repeated", parseFileRef),
      cpus: value("--cpus <n>", "Cores to set aside, and the limit", parseCpus),
      memory: value("--memory <size>", "Memory to set aside, and the limit: 64m, 1g", parseMemory),
      reserveCpus: value("--reserve-cpus <n>", "Cores to set aside, if not --cpus", parseCpus),
      reserveMemory: value(
        "--reserve-memory <size>",
        "Memory to set aside, if not --memory",
        parseMemory,
      ),
      label: list("--label <key=value>", "Label of service and container", parsePair),
      replicas: value("--replicas <n>", "How many tasks (with -d)", parseCount),
      mode: choice("--mode <mode>", "How many tasks, and for how long", [
        "replicated",
        "global",
        "job",
        "cron",
      ]),
      completions: value("--completions <n>", "Successes that a job needs", parseCount),
      parallelism: value("--parallelism <n>", "Tasks of a job at a time", parseCount),
      retries: value("--retries <n>", "Replacements of failed tasks: job, cron", parseCount),
      deadline: value("--deadline <duration>", "Stop a job or run then", parseDuration),
      schedule: value("--schedule <cron>", "When to run it: '0 3 * * *', @daily"),
      timeZone: value("--time-zone <zone>", "Time zone of the schedule; UTC if absent"),
      concurrency: choice("--concurrency <how>", "When a run is due while one goes on", [
        "allow",
        "forbid",
        "replace",
      ]),
      catchUp: value("--catch-up <duration>", "How late a missed run may start", parseDuration),
      keepSucceeded: value("--keep-succeeded <n>", "Succeeded runs to remember", parseCount),
      keepFailed: value("--keep-failed <n>", "Failed runs to remember", parseCount),
      ...SERVICE_FLAGS,
      project: PROJECT,
    },
    examples: [
      ["berth run --rm alpine echo hello", "one job, removed afterwards"],
      ["berth run -it --rm alpine sh", "a shell, gone when it is left"],
      ["berth run -d --name web -p 8080:80 nginx", "a service on port 8080"],
      ["berth run -d --replicas 3 --memory 256m -p 80 nginx", "three tasks, free host ports"],
      ["berth run -d --secret db_password --config app.conf:/etc/app.conf app", "with files"],
      ["berth run -d --name db -v db-data:/var/lib/postgresql/data postgres", "with a volume"],
      ["berth run -d --mode global agent", "one task on each node"],
      ["berth run -d --schedule @daily --time-zone Europe/Berlin backup", "at midnight"],
      ["berth run -d --health-http 80/up --restart-max-attempts 3 nginx", "watched"],
      ["berth run -d --replicas 6 --spread zone --anti-affinity db app", "over zones, off db"],
      ["berth run -e LEVEL=debug myimage migrate --all", "a command with its own flags"],
    ],
    run: async (options, [image = "", ...command], deps) =>
      (await import("../commands/run.ts")).run(options, image, command, deps),
  }),
  serverCommand({
    name: "stop",
    group: GROUP,
    summary: "Stop services; they can be started again",
    args: "<service...>",
    completes: "services",
    options: { project: PROJECT, noWait: NO_WAIT },
    examples: [
      ["berth stop web", "stop and wait until nothing runs"],
      ["berth stop web api --no-wait", "ask for it and return"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/lifecycle.ts")).stop(options, refs, deps),
  }),
  serverCommand({
    name: "start",
    group: GROUP,
    summary: "Start stopped services",
    args: "<service...>",
    completes: "services",
    options: { project: PROJECT, noWait: NO_WAIT },
    examples: [["berth start web", "start and wait until it runs"]],
    run: async (options, refs, deps) =>
      (await import("../commands/lifecycle.ts")).start(options, refs, deps),
  }),
  serverCommand({
    name: "rm",
    group: GROUP,
    summary: "Remove services and their containers",
    args: "<service...>",
    completes: "services",
    options: {
      force: flag("-f, --force", "Also while it is running"),
      project: PROJECT,
      noWait: NO_WAIT,
    },
    examples: [
      ["berth rm web", "remove a stopped service"],
      ["berth rm -f web api", "stop and remove two"],
      ["berth service ls -q | xargs berth rm -f", "remove everything"],
    ],
    run: async (options, refs, deps) =>
      (await import("../commands/lifecycle.ts")).remove(options, refs, deps),
  }),
  serverCommand({
    name: "exec",
    group: GROUP,
    summary: "Run a command inside a running task",
    details: "Of a service, the first running task is taken. Flags after TASK belong to COMMAND.",
    args: "<task> <command...>",
    completes: "tasks",
    passThrough: true,
    ownFailure: EXIT.own,
    options: {
      interactive: flag("-i, --interactive", "Pass standard input on"),
      tty: flag("-t, --tty", "Give the command a terminal"),
      env: list("-e, --env <key=value>", "Environment variable; may be repeated", parsePair),
      user: value("-u, --user <user>", "User, or user:group, or ids"),
      workdir: value("-w, --workdir <path>", "Directory to start in"),
      project: PROJECT,
    },
    examples: [
      ["berth exec -it web sh", "a shell in the first task of web"],
      ["berth exec web.2 ls -l /", "one command in the second task"],
      ["tar c . | berth exec -i web.1 tar x -C /srv", "copy files in"],
    ],
    run: async (options, [ref = "", ...command], deps) =>
      (await import("../commands/exec.ts")).exec(options, ref, command, deps),
  }),
];
