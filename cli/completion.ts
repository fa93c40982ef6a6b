/**
 * Completion: scripts for the shells, and names of what is there.
 *
 * @module
 */
import { type AnyCommand, localCommand } from "./command.ts";
import type { GlobalOptions } from "./catalog/global.ts";
import type { Deps } from "./deps.ts";
import { EXIT } from "./exit.ts";
import { fail } from "./report.ts";

export const COMPLETION = "completion";
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Around the script, whose constants bash would refuse to set again when it is sourced once more. */
const BASH_ONCE = { begin: "if ! declare -F __berth_complete > /dev/null; then\n", end: "fi\n" };
/** What the script takes from the package bash-completion, for machines that have it not. */
const BASH_WORDS = `# Where bash-completion is not installed
if ! declare -F _get_comp_words_by_ref > /dev/null; then
    _get_comp_words_by_ref() {
        cur=\${COMP_WORDS[COMP_CWORD]}
        prev=\${COMP_WORDS[COMP_CWORD > 0 ? COMP_CWORD - 1 : 0]}
        words=("\${COMP_WORDS[@]}")
        cword=$COMP_CWORD
    }
fi

`;

/** `berth completion`. What prints the script comes with the command framework. */
export function completionCommand(print: (shell: string) => Promise<void>): AnyCommand {
  return localCommand({
    name: COMPLETION,
    group: "This program:",
    summary: "Print a shell's completion: bash, zsh, fish",
    args: "<shell>",
    options: {},
    examples: [
      ["source <(berth completion bash)", "bash, now; or in ~/.bashrc"],
      ["source <(berth completion zsh)", "zsh, now; or in ~/.zshrc"],
      ["berth completion fish > ~/.config/fish/completions/berth.fish", "fish, for good"],
    ],
    async run(_options, [shell = ""], deps) {
      if (!SHELLS.some((known) => known === shell)) {
        return fail(deps, `no completion for "${shell}"`, `choose bash, zsh or fish`, EXIT.usage);
      }
      if (shell === "bash") deps.io.out(BASH_ONCE.begin + BASH_WORDS);
      await print(shell);
      if (shell === "bash") deps.io.out(BASH_ONCE.end);
      return EXIT.ok;
    },
  });
}

/** A person is waiting for the Tab key. */
const ANSWER_MS = 700;
const MAX_NAMES = 200;

/** What may stand where the cursor is, if it is the name of something; `[]` when in doubt. */
export async function namesToComplete(
  args: string[],
  commands: readonly AnyCommand[],
  makeDeps: (globals: GlobalOptions) => Deps,
): Promise<string[]> {
  const words = args.slice(args.indexOf("--") + 1).filter((word) => !word.startsWith("-"));
  const command = commands.find((candidate) =>
    candidate.completes !== undefined &&
    candidate.name === words.slice(0, candidate.name.split(" ").length).join(" ")
  );
  if (!command?.completes) return [];
  const deps = makeDeps({
    output: undefined,
    format: undefined,
    yes: false,
    quiet: true,
    noColor: true,
    timeout: undefined,
    context: undefined,
    server: undefined,
    token: undefined,
  });
  if (command.completes === "contexts") {
    const read = await deps.contexts.read();
    return read.ok ? Object.keys(read.value.contexts) : [];
  }
  const connection = await deps.connection();
  if (!connection.ok) return [];
  const { qualified } = await import("./format/state.ts");
  const client = await deps.connect(connection.target);
  const options = { signal: AbortSignal.timeout(ANSWER_MS) };
  const query = { limit: MAX_NAMES };
  if (command.completes === "nodes") {
    const nodes = await client.listNodes(query, options);
    return nodes.ok ? nodes.value.items.map((node) => node.name) : [];
  }
  const [services, tasks] = await Promise.all([
    client.listServices(query, options),
    command.completes === "tasks" ? client.listTasks(query, options) : undefined,
  ]);
  return [
    ...services.ok ? services.value.items.map(({ project, name }) => qualified(project, name)) : [],
    ...tasks?.ok ? tasks.value.items.map(({ project, name }) => qualified(project, name)) : [],
  ].filter((name, index, all) => all.indexOf(name) === index);
}
