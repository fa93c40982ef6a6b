/**
 * One line of a task's output, for people or as JSON.
 *
 * @module
 */
import type { TaskView } from "../../kv/schema/task.ts";
import type { Deps } from "../deps.ts";
import { concat } from "./lines.ts";
import type { StampedLine } from "./stamped.ts";
import { qualified } from "./state.ts";
import { style } from "./style.ts";

export interface Line extends StampedLine {
  stream: "stdout" | "stderr";
  task: Pick<TaskView, "id" | "name" | "project" | "node">;
  /** Which of the tasks, as {@link LogPrinter.join} said: sets the colour. */
  number: number;
}

export interface LogPrinter {
  /** A task's lines are to come; answers its number. */
  join(task: Line["task"]): number;
  print(line: Line): void;
}

/** Prints each line behind its task's name if `named`, else to the stream that it came from. */
export function logPrinter(
  { io, view }: Pick<Deps, "io" | "view">,
  { named, timestamps, tasks }: {
    named: boolean;
    timestamps: boolean;
    tasks: readonly Line["task"][];
  },
): LogPrinter {
  const paint = style(view.color);
  const nameOf = (task: Line["task"]) => qualified(task.project, task.name);
  const encoder = new TextEncoder();
  let width = Math.max(0, ...tasks.map((task) => nameOf(task).length));
  let joined = 0;

  function prefix({ task, number, time }: Line): Uint8Array {
    const name = named ? `${paint.nth(number)(nameOf(task).padEnd(width))} ${paint.dim("│")} ` : "";
    return encoder.encode(name + (timestamps && time !== "" ? `${paint.dim(time)} ` : ""));
  }

  return {
    join(task) {
      width = Math.max(width, nameOf(task).length);
      return joined++;
    },
    print(line) {
      if (view.template) return io.out(view.template.render(record(line)) + "\n");
      if (view.output === "json") return io.out(JSON.stringify(record(line)) + "\n");
      const bytes = concat(prefix(line), line.text);
      if (line.stream === "stdout" || named) io.outBytes(bytes);
      else io.errBytes(bytes);
    },
  };
}

function record({ task, stream, time, text }: Line) {
  return {
    time,
    task: qualified(task.project, task.name),
    taskId: task.id,
    node: task.node,
    stream,
    line: new TextDecoder().decode(text).replace(/\r?\n$/, ""),
  };
}
