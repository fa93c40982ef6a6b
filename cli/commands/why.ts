/**
 * `berth why`: why a task is where it is, or nowhere.
 *
 * @module
 */
import type { Why } from "../../kv/schema/why.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { statePaint } from "../format/state.ts";
import { oneLine, style } from "../format/style.ts";
import type { Column } from "../format/table.ts";
import { fail, failCall, printValue } from "../report.ts";

/** The waiting tasks of a large service all wait for the same: a few say it. */
const MAX_SHOWN = 3;

export async function why(
  options: { project: string | undefined },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await findTaskOrService(deps.client, ref, options.project);
  if (!found.ok) return failCall(deps, found.error, `cannot explain ${ref}`);
  const tasks = found.value.kind === "task"
    ? [found.value.task]
    : worthExplaining(found.value.tasks);
  if (tasks.length === 0) {
    return fail(
      deps,
      `${ref} has no tasks to explain`,
      `look at it: berth inspect ${ref}`,
      EXIT.notFound,
    );
  }
  const answers: Why[] = [];
  for (const task of tasks) {
    const answer = await deps.client.why(task.id, task.project);
    if (!answer.ok) return failCall(deps, answer.error, `cannot explain ${task.name}`);
    answers.push(answer.value);
  }
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    await printValue(deps, found.value.kind === "task" ? answers[0] : answers, output);
  } else {
    for (const [index, answer] of answers.entries()) await printWhy(answer, index, deps);
  }
  return EXIT.ok;
}

/** What waits, else what runs, else what ended last. */
function worthExplaining(tasks: TaskView[]): TaskView[] {
  const pending = tasks.filter((task) => task.state === "pending");
  if (pending.length > 0) return pending.slice(0, MAX_SHOWN);
  const alive = tasks.filter((task) => !isTerminal(task.state));
  return alive.length > 0 ? alive.slice(0, MAX_SHOWN) : tasks.slice(-1);
}

async function printWhy(answer: Why, index: number, deps: ServerDeps): Promise<void> {
  const { io, view } = deps;
  const paint = style(view.color);
  if (index > 0) io.out("\n");
  const state = statePaint(answer.state, paint)(answer.state);
  io.out(`${paint.strong(answer.name)}  ${state}\n`);
  io.out(oneLine(answer.summary) + "\n");
  if (answer.remedy) io.out(`${paint.accent("Remedy:")} ${oneLine(answer.remedy)}\n`);
  if (answer.nodes.length === 0 || view.quiet) return;
  const { table } = await import("../format/table.ts");
  io.out(
    "\n" + table(verdictColumns(deps), byVerdict(answer.nodes), {
      color: view.color,
      wide: view.output === "wide",
      ...(view.columns === undefined ? {} : { columns: view.columns }),
    }),
  );
  io.out(paint.dim(`strategy ${answer.strategy}\n`));
}

type Verdict = Why["nodes"][number];

/** Those that fit first, best first; among equals the server's order is that of placement. */
function byVerdict(nodes: Verdict[]): Verdict[] {
  return [...nodes].sort((a, b) =>
    Number(b.fits) - Number(a.fits) || (a.preference ?? 0) - (b.preference ?? 0) ||
    (a.score ?? 0) - (b.score ?? 0)
  );
}

function verdictColumns(deps: ServerDeps): Column<Verdict>[] {
  const paint = style(deps.view.color);
  return [
    { header: "NODE", cell: (v) => v.node, minWidth: 8 },
    {
      header: "FITS",
      cell: (v) => v.fits ? "yes" : "no",
      paint: (v) => v.fits ? paint.good : paint.bad,
    },
    { header: "SCORE", cell: (v) => v.score === undefined ? "-" : v.score.toFixed(3) },
    {
      header: "REASON",
      optional: true,
      cell: (v) => v.refusals.map((r) => oneLine(r.reason)).join("; "),
      minWidth: 16,
    },
    {
      header: "REMEDY",
      optional: true,
      cell: (v) => v.refusals.map((r) => oneLine(r.remedy)).join("; "),
      minWidth: 16,
      drop: 1,
    },
    {
      header: "SCORES",
      wide: true,
      cell: (v) =>
        Object.entries(v.scores ?? {}).map(([name, score]) => `${name}=${score.toFixed(3)}`)
          .join(" "),
    },
  ];
}
