import { assert, assertEquals } from "@std/assert";
import { startBoard } from "../../../cli/compose/board.ts";
import type { Deps } from "../../../cli/deps.ts";
import { plain, widthOf } from "../../../cli/format/style.ts";
import { TaskView } from "../../../kv/schema/task.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import { taskView } from "../support.ts";

function board(columns: number | undefined) {
  let err = "";
  const io = {
    err: (text: string) => void (err += text),
    errIsTty: columns !== undefined,
    size: () => columns === undefined ? undefined : { columns, rows: 24 },
  } as unknown as Deps["io"];
  const view = { output: "table" as const, color: false, quiet: false };
  const made = startBoard({ io, view, clock: createFakeClock() }, ["storefront"]);
  return { ...made, said: () => err };
}

const message = "pulling fs layer 4f4fb700ef54 of registry.example.com/team/storefront, 70 % done";
const task = (state: string) =>
  TaskView.parse(taskView({ state, observed: { ...taskView().observed, state, message } }));
const services = new Map();

for (const columns of [80, 200]) {
  Deno.test(`at ${columns} columns every line fits, and the block is drawn over itself`, () => {
    const { say, see, stop, said } = board(columns);
    say("storefront", "created", "busy");
    see({ services, tasks: [task("preparing")] });
    say("storefront", "up", "good");
    stop();
    const lines = plain(said()).split("\n");
    assert(lines.some((line) => /^✔ storefront {2}up/.test(line)), said());
    assert(
      lines.some((line) => line.includes("storefront.1  preparing on rack-7-machine-12: pulling")),
    );
    assertEquals(lines.filter((line) => widthOf(line) >= columns), []);
  });
}

Deno.test("without a terminal each thing that happens is one line, once, without escapes", () => {
  const { say, see, stop, said } = board(undefined);
  say("storefront", "created", "busy");
  see({ services, tasks: [task("preparing")] });
  see({ services, tasks: [task("preparing")] });
  see({ services, tasks: [task("running")] });
  say("storefront", "up", "good");
  stop();
  assertEquals(said().trim().split("\n"), [
    "storefront: created",
    `storefront.1  preparing on rack-7-machine-12: ${message}`,
    "storefront.1  running (healthy) on rack-7-machine-12",
    "storefront: up",
  ]);
});
