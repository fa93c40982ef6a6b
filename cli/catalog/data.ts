/**
 * Commands about what tasks are given: secrets, configs and volumes.
 *
 * @module
 */
import type { SealedKind } from "../../kv/schema/sealed.ts";
import { type AnyCommand, flag, list, serverCommand, value } from "../command.ts";
import { parsePair } from "../format/quantity.ts";
import { PROJECT } from "./global.ts";

const GROUP = "Data:";
const sealed = () => import("../commands/sealed.ts");
const volumes = () => import("../commands/volume.ts");

function sealedCommands(kind: SealedKind): AnyCommand[] {
  const file = kind === "secret" ? "db-password" : "nginx.conf";
  const name = kind === "secret" ? "db_password" : "nginx";
  const common = { group: GROUP } as const;
  return [
    serverCommand({
      ...{ ...common, name: `${kind} create`, args: "<name> [file]" },
      summary: `Store a ${kind} from a file or standard input`,
      details: kind === "secret"
        ? "It is stored encrypted and shown to nobody again; services name it in `secrets`, and " +
          "their\ntasks find it as a file in /run/secrets."
        : "Services name it in `configs`, and their tasks find it as a file.",
      options: {
        label: list("--label <key=value>", "Label; may be repeated", parsePair),
        project: PROJECT,
      },
      examples: [
        [`berth ${kind} create ${name} ./${file}`, "from a file"],
        [`printf %s "$VALUE" | berth ${kind} create ${name}`, "from standard input"],
      ],
      run: async (options, args, deps) => (await sealed()).create(kind, options, args, deps),
    }),
    serverCommand({
      ...{ ...common, name: `${kind} rotate`, args: "<name> [file]" },
      summary: `Give a ${kind} a new value, and roll it out`,
      details: "Every service that refers to it gets a new revision; jobs keep what they began " +
        "with.\n`berth rollout undo SERVICE` brings the earlier value back.",
      options: { project: PROJECT },
      examples: [
        [`berth ${kind} rotate ${name} ./${file}`, "from a file"],
        [`openssl rand -hex 24 | berth ${kind} rotate ${name}`, "from standard input"],
      ],
      run: async (options, args, deps) => (await sealed()).rotate(kind, options, args, deps),
    }),
    serverCommand({
      ...{ ...common, name: `${kind} ls`, options: { project: PROJECT } },
      summary: `List ${kind}s and who uses them`,
      examples: [[`berth ${kind} ls`, "of all projects"]],
      run: async (options, _args, deps) => (await sealed()).list(kind, options, deps),
    }),
    inspectCommand(kind, name),
    serverCommand({
      ...{ ...common, name: `${kind} rm`, args: "<name...>", options: { project: PROJECT } },
      summary: `Remove ${kind}s with all their versions`,
      details: "Refused while a service refers to it.",
      examples: [[`berth ${kind} rm ${name}`, "once nothing uses it"]],
      run: async (options, refs, deps) => (await sealed()).remove(kind, options, refs, deps),
    }),
  ];
}

function inspectCommand(kind: SealedKind, name: string): AnyCommand {
  const common = { group: GROUP, name: `${kind} inspect`, args: "<name>" } as const;
  if (kind === "secret") {
    return serverCommand({
      ...{ ...common, options: { project: PROJECT } },
      summary: "Show everything about a secret but its value",
      examples: [[`berth secret inspect ${name}`, "versions, labels, users"]],
      run: async (options, [ref = ""], deps) => (await sealed()).inspect(kind, options, ref, deps),
    });
  }
  return serverCommand({
    ...common,
    summary: "Show everything about a config, or its value",
    options: { value: flag("--value", "Print the value itself"), project: PROJECT },
    examples: [
      [`berth config inspect ${name}`, "versions, labels, users"],
      [`berth config inspect --value ${name} > now.conf`, "what is in it"],
    ],
    run: async (options, [ref = ""], deps) => (await sealed()).inspect(kind, options, ref, deps),
  });
}

const COPY = {
  node: value("--node <name>", "The node whose volume is meant, when several have one"),
  project: PROJECT,
};

const volumeCommands: AnyCommand[] = [
  serverCommand({
    ...{ group: GROUP, name: "volume ls", options: { project: PROJECT } },
    summary: "List named volumes, where they are and who uses them",
    examples: [["berth volume ls", "of all projects"]],
    run: async (options, _args, deps) => (await volumes()).list(options, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "volume inspect", args: "<name>", options: { project: PROJECT } },
    summary: "Show everything about a volume",
    examples: [["berth volume inspect db-data", "nodes, driver, its name on the engine"]],
    run: async (options, [ref = ""], deps) => (await volumes()).inspect(options, ref, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "volume backup", args: "<name> [file]", options: COPY },
    summary: "Write what is in a volume to a tar file or standard output",
    details: "As it is at that moment: stop what writes to it, or have it write a dump first.",
    examples: [
      ["berth volume backup db-data db.tar", "to a file"],
      ["berth volume backup db-data | gzip > db.tar.gz", "compressed"],
    ],
    run: async (options, args, deps) => (await volumes()).backup(options, args, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "volume restore", args: "<name> [file]", options: COPY },
    summary: "Write a tar file or standard input into a volume",
    details: "Files of the tar replace those in the volume; other files stay. Stop its services " +
      "first.",
    examples: [
      ["berth volume restore db-data db.tar", "from a file"],
      ["gunzip < db.tar.gz | berth volume restore db-data", "from standard input"],
    ],
    run: async (options, args, deps) => (await volumes()).restore(options, args, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "volume rm", args: "<name...>" },
    summary: "Remove volumes and what is in them",
    details: "Refused while a service mounts it, and while a node that has it does not answer.",
    options: {
      force: flag("-f, --force", "Do not ask; give up what nodes have that do not answer"),
      project: PROJECT,
    },
    examples: [["berth volume rm db-data", "once nothing uses it"]],
    run: async (options, refs, deps) => (await volumes()).remove(options, refs, deps),
  }),
];

const logins = () => import("../commands/login.ts");

const registryCommands: AnyCommand[] = [
  serverCommand({
    ...{ group: GROUP, name: "login", args: "[registry]" },
    summary: "Store credentials for a registry in the cluster",
    details:
      "The password is asked for, or read from standard input when that is no terminal. It is " +
      "stored\nencrypted, and given to an agent for each pull of an image of that registry, or of the " +
      "part of it\nthat is named. Nobody asks the registry: agents may reach one that the server " +
      "cannot.",
    options: {
      username: value("-u, --username <name>", "User name at the registry"),
      password: value("-p, --password <password>", "Others may see it: better let it be read"),
      passwordStdin: flag("--password-stdin", "Read the password from standard input"),
    },
    examples: [
      ["berth login ghcr.io -u ann --password-stdin < token", "the password from a file"],
      ["berth login ghcr.io/shop -u ann", "for images whose names begin so; asks for the password"],
      ['printf %s "$TOKEN" | berth login -u ann', "docker.io, if no registry is given"],
    ],
    run: async (options, [registry], deps) => (await logins()).login(options, registry, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "logout", args: "[registry]", options: {} },
    summary: "Forget the credentials for a registry",
    examples: [["berth logout ghcr.io", "images that are on nodes stay there"]],
    run: async (_options, [registry], deps) => (await logins()).logout(registry, deps),
  }),
  serverCommand({
    ...{ group: GROUP, name: "registry ls", options: {} },
    summary: "List registries with credentials",
    examples: [["berth registry ls", "without the passwords"]],
    run: async (_options, _args, deps) => (await logins()).list(deps),
  }),
];

export const dataCommands: AnyCommand[] = [
  ...sealedCommands("secret"),
  ...sealedCommands("config"),
  ...volumeCommands,
  ...registryCommands,
];
