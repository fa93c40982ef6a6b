/**
 * What becomes of services and tasks, while it does: at a terminal a block of lines that is drawn anew,
 * elsewhere one line for each thing that happens.
 *
 * @module
 */
import type { Deps } from "../deps.ts";
import { elapsed } from "../format/duration.ts";
import { stateText, taskPaint } from "../format/state.ts";
import { clip, oneLine, style } from "../format/style.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { Snapshot } from "./watch.ts";

export interface Board {
  /** What was done with a service, in a word. */
  say(service: string, word: string, how: "good" | "busy" | "bad" | "dim"): void;
  see(snapshot: Snapshot): void;
  /** Draws for the last time. The owner must call it; it may be called again. */
  stop(): void;
}

interface Line {
  word: string;
  how: "good" | "busy" | "bad" | "dim";
  beganMs: number;
  endedMs?: number;
}

const FRAME_MS = 100;
const MARKS = { good: "✔", busy: "⠿", bad: "✘", dim: "·" };
/** Tasks shown of one service: the others are in `berth ps`. */
const MAX_TASKS = 5;

export function startBoard(
  deps: Pick<Deps, "io" | "view" | "clock">,
  services: readonly string[],
): Board {
  const { io, view, clock } = deps;
  const lines = new Map<string, Line>();
  const tasks = new Map<string, TaskView>();
  const told = new Map<string, string>();
  const paint = style(view.color && io.errIsTty);
  const live = io.errIsTty && !view.quiet;
  let drawn = 0;
  let timer = live ? setInterval(draw, FRAME_MS) : undefined;

  function draw(): void {
    const width = (io.size()?.columns ?? 80) - 1;
    const most = Math.max(4, (io.size()?.rows ?? 24) - 2);
    const rows = services.flatMap((name) => {
      const line = lines.get(name);
      if (!line) return [];
      const took = elapsed((line.endedMs ?? clock.monoMs()) - line.beganMs);
      const head = `${MARKS[line.how]} ${name}  ${line.word}`;
      const text = clip(head, width - took.length - 2);
      return [`${paint[line.how](text)}  ${paint.dim(took)}`, ...taskRows(name, width)];
    }).slice(0, most);
    io.err(`${drawn > 0 ? `\x1b[${drawn}A` : ""}\x1b[0J${rows.map((row) => `${row}\n`).join("")}`);
    drawn = rows.length;
  }

  function taskRows(service: string, width: number): string[] {
    const own = [...tasks.values()].filter((task) => task.service === service);
    const rows = own.slice(0, MAX_TASKS).map((task) => {
      const text = clip(`    ${taskText(task)}`, width);
      return taskPaint(task, paint)(text);
    });
    if (own.length > MAX_TASKS) rows.push(paint.dim(`    and ${own.length - MAX_TASKS} more`));
    return rows;
  }

  return {
    say(service, word, how) {
      const before = lines.get(service);
      const nowMs = clock.monoMs();
      const over = how === "busy" ? {} : { endedMs: nowMs };
      lines.set(service, { word, how, beganMs: before?.beganMs ?? nowMs, ...over });
      if (!live && !view.quiet && before?.word !== word) io.err(`${service}: ${word}\n`);
    },
    see(snapshot) {
      tasks.clear();
      for (const task of snapshot.tasks) {
        if (!isTerminal(task.state) || task.state === "failed") tasks.set(task.id, task);
        if (live || view.quiet || !lines.has(task.service)) continue;
        const text = taskText(task);
        if (told.get(task.id) === text) continue;
        told.set(task.id, text);
        io.err(`${text}\n`);
      }
    },
    stop() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      draw();
    },
  };
}

/** `web.1  running on n1`, `web.2  pending: no node has 64 cores`. */
function taskText(task: TaskView): string {
  const where = task.node === undefined ? "" : ` on ${task.node}`;
  const said = task.state === "running" ? undefined : task.observed?.message ?? task.why;
  return `${task.name}  ${stateText(task)}${where}${said ? `: ${oneLine(said)}` : ""}`;
}
