/**
 * docs/compose.md, made from the table. Pure.
 *
 * @module
 */
import { DIFFERENCES } from "./defaults.ts";
import { type KeyRow, TABLE } from "./keys/table.ts";

const INTRO = `# Compose files

\`berth up\` takes the files that \`docker compose\` takes. Every key of the Compose Specification is
honoured, emulated (it does what can be done, and this page says what), or refused with a reason and
something to do instead. None is ignored. A test holds the table below against the published JSON schema.

This page is generated from the code (\`cli/compose/\`): \`deno task docs\`.

- **Files** merge as Compose merges them, \`!reset\` and \`!override\` included; \`include\`, \`extends\`,
  profiles, anchors, \`<<\` and names that begin with \`x-\` work as there. \`.env\`, \`--env-file\` and
  the environment fill in variables; the environment comes first.
- **What is wrong** with a file is one message with file, line and column; the exit code is 2, and nothing
  was changed.
- **Changes**: \`berth up\` leaves services that are as the file says untouched. \`berth diff\` shows what
  it would do, \`berth config\` how the files are understood.
- **Images with \`build\`** are built by this machine's engine if there is one, else expected.
- **A project is locked** while it is being changed: a second \`up\` waits, and says for whom.

## Where Compose and Swarm differ
`;

export function composePage(settings: readonly { path: string; what: string }[]): string {
  const differences = DIFFERENCES.map((one) => row([one.what, one.compose, one.swarm, one.berth]));
  return [
    INTRO,
    ...heading(["What", "Compose", "Swarm", "Berth"]),
    ...differences,
    "",
    "## Keys",
    "",
    counts(),
    "",
    ...heading(["Key", "What becomes of it", ""]),
    ...TABLE.map((key) => row([`\`${key.path}\``, key.decision, noteOf(key)])),
    "",
    "## Berth's own settings",
    "",
    "Under `x-berth` of a service. For editors: `berth config --schema` prints their JSON schema.",
    "",
    ...heading(["Setting", "What it does"]),
    ...settings.map(({ path, what }) => row([`\`${path}\``, what])),
    "",
  ].join("\n");
}

function counts(): string {
  const many = (decision: KeyRow["decision"]) =>
    TABLE.filter((key) => key.decision === decision).length;
  return `${many("honoured")} keys are honoured, ${many("emulated")} emulated, ${
    many("refused")
  } refused. \`*\` stands for a name, \`[]\` for an item of a list.`;
}

function noteOf({ note, instead }: KeyRow): string {
  return instead === undefined ? note : `${note}. Instead: ${instead}`;
}

function heading(titles: string[]): string[] {
  return [row(titles), row(titles.map(() => "---"))];
}

function row(cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
