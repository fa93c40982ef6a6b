import { assertEquals } from "@std/assert";
import { createPullProgress, type PullLine } from "../../worker/docker/pull_progress.ts";

const MIB = 1024 * 1024;
const line = (id: string, status: string, current = 0, totalMiB = 0): PullLine => ({
  ...{ id, status },
  progressDetail: totalMiB === 0 ? {} : { current: current * MIB, total: totalMiB * MIB },
});

function said(lines: readonly PullLine[]): (string | undefined)[] {
  const progress = createPullProgress();
  return lines.map(progress);
}

Deno.test("a pull is one sentence about all its layers, said when it changes", () => {
  assertEquals(
    said([
      { status: "Pulling from shop/app", id: "1" },
      line("a", "Pulling fs layer"),
      line("a", "Downloading", 4, 100),
      line("a", "Downloading", 4, 100),
      line("b", "Downloading", 10, 20),
      line("c", "Already exists"),
      line("b", "Download complete"),
      line("a", "Extracting", 50, 100),
      line("a", "Pull complete"),
      line("b", "Pull complete"),
      { status: "Digest: sha256:12" },
    ]),
    [
      undefined,
      undefined,
      "pulling 4 of 100 MiB",
      undefined,
      "pulling 14 of 120 MiB",
      undefined,
      "pulling 24 of 120 MiB",
      "unpacking 50 of 120 MiB",
      "unpacking 100 of 120 MiB",
      "unpacking 120 of 120 MiB",
      undefined,
    ],
  );
});

Deno.test("little is told in KiB, and what the engine says no size of is not told", () => {
  assertEquals(said([line("a", "Downloading", 0.5, 1.5), line("b", "Downloading")]), [
    "pulling 512 of 1536 KiB",
    undefined,
  ]);
});
