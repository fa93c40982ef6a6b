import { assertEquals, assertMatch } from "@std/assert";
import { isTimeZone, lastTime, nextTime, scheduleProblem } from "../../kv/schema/schedule.ts";

const BERLIN = "Europe/Berlin";
const NEW_YORK = "America/New_York";

/** From a moment on, the next times; all in UTC. */
const NEXT: { property: string; zone: string; schedule: string; from: string; times: string[] }[] =
  [
    {
      property: "five fields are minutes, hours, days, months and weekdays",
      zone: "UTC",
      schedule: "30 4 1 * *",
      from: "2026-01-01T04:30:00Z",
      times: ["2026-02-01T04:30:00Z", "2026-03-01T04:30:00Z"],
    },
    {
      property: "six fields have seconds first",
      zone: "UTC",
      schedule: "*/20 * * * * *",
      from: "2026-01-01T00:00:05Z",
      times: ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z"],
    },
    {
      property: "@daily is midnight of the time zone",
      zone: BERLIN,
      schedule: "@daily",
      from: "2026-01-01T12:00:00Z",
      times: ["2026-01-01T23:00:00Z"],
    },
    {
      property:
        "Berlin, clocks put forward: a time that does not exist is taken at the end of the gap",
      zone: BERLIN,
      schedule: "30 2 * * *",
      from: "2026-03-28T12:00:00Z",
      times: ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      property: "Berlin, clocks put back: a time that comes twice counts once",
      zone: BERLIN,
      schedule: "30 2 * * *",
      from: "2026-10-24T12:00:00Z",
      times: ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    },
    {
      property: "Berlin, clocks put back: every half hour goes on through both",
      zone: BERLIN,
      schedule: "*/30 * * * *",
      from: "2026-10-24T23:59:00Z",
      times: ["00:00", "00:30", "01:00", "01:30", "02:00"].map((at) => `2026-10-25T${at}:00Z`),
    },
    {
      property: "New York, clocks put forward",
      zone: NEW_YORK,
      schedule: "30 2 * * *",
      from: "2026-03-07T12:00:00Z",
      times: ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
    },
    {
      property: "New York, clocks put back",
      zone: NEW_YORK,
      schedule: "30 1 * * *",
      from: "2026-10-31T12:00:00Z",
      times: ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    },
    {
      property: "a date that never comes has no next time",
      zone: "UTC",
      schedule: "0 0 30 2 *",
      from: "2026-01-01T00:00:00Z",
      times: [],
    },
  ];

for (const { property, zone, schedule, from, times } of NEXT) {
  Deno.test(`schedule: ${property}`, () => {
    const asked = { schedule, timeZone: zone };
    let atMs: number | undefined = Date.parse(from);
    const found: string[] = [];
    for (let i = 0; i < Math.max(1, times.length); i++) {
      atMs = nextTime(asked, atMs);
      if (atMs === undefined) break;
      found.push(new Date(atMs).toISOString().replace(".000", ""));
      // Looking back from any moment up to the next one finds the same time.
      for (const lateMs of [0, 1, 999, 1500]) {
        const range = { afterMs: atMs - 1, untilMs: atMs + lateMs };
        assertEquals(lastTime(asked, range), atMs, `${found.at(-1)} + ${lateMs} ms`);
      }
      assertEquals(lastTime(asked, { afterMs: atMs, untilMs: atMs + 500 }), undefined);
      assertEquals(lastTime(asked, { afterMs: atMs - 5000, untilMs: atMs - 1 }), undefined);
    }
    assertEquals(found, times);
  });
}

Deno.test("schedule: looking back finds the newest of several times", () => {
  const schedule = { schedule: "* * * * * *", timeZone: BERLIN };
  const untilMs = Date.parse("2026-10-25T01:00:00.500Z");
  assertEquals(lastTime(schedule, { afterMs: untilMs - 10_000, untilMs }), untilMs - 500);
});

Deno.test("schedule: what is no schedule is refused with a reason", () => {
  for (const good of ["* * * * *", "0 0 3 * * 1-5", "@hourly", "0 12 L * *"]) {
    assertEquals(scheduleProblem(good), undefined, good);
  }
  const bad = ["", "* * *", "* * * * * * *", "99 * * * *", "@reboot", "@nope", "2026-01-01T00:00"];
  for (const schedule of bad) assertMatch(scheduleProblem(schedule) ?? "", /^must /, schedule);
  assertEquals(["UTC", BERLIN, "Mars/Base", ""].map(isTimeZone), [true, true, false, false]);
});
