import { assertEquals } from "@std/assert";
import { HealthCheck, ReadinessCheck } from "../../../kv/schema/health.ts";
import {
  afterProbe,
  type Check,
  healthCheckOf,
  nextProbeMs,
  readinessCheckOf,
  START,
  type Tally,
} from "../../../worker/probes/verdict.ts";

const tcp = { type: "tcp", port: 80 } as const;

function health(over: Partial<HealthCheck> = {}): Check {
  const check = healthCheckOf(HealthCheck.parse({ probe: tcp, intervalMs: 1_000, ...over }));
  if (!check) throw new Error("the agent does not probe");
  return check;
}

function readiness(over: Partial<ReadinessCheck> = {}): Check {
  const check = readinessCheckOf(ReadinessCheck.parse({ probe: tcp, ...over }));
  if (!check) throw new Error("there is no check");
  return check;
}

/** The verdicts after each probe: `+` passes, `-` fails, one every second from 1 s on. */
function verdicts(check: Check, probes: string, from: Tally = START): string {
  let tally = from;
  return [...probes].map((probe, i) => {
    tally = afterProbe(tally, probe === "+", { check, sinceStartMs: (i + 1) * 1_000 });
    return tally.verdict[0];
  }).join("");
}

const healthy: Tally = { verdict: "passing", passes: 1, failures: 0 };
const sick: Tally = { verdict: "failing", passes: 0, failures: 3 };

// s: starting, p: passing (healthy, ready), f: failing (unhealthy, no longer ready)
const TABLE: [string, Check, string, string, Tally?][] = [
  ["one success makes healthy", health(), "+", "p"],
  ["retries failures in a row make unhealthy", health(), "---", "ssf"],
  ["a success in between starts the count anew", health(), "+--+--+", "ppppppp"],
  ["a healthy task fails after retries in a row, too", health(), "---", "ppf", healthy],
  ["one retry makes unhealthy at once", health({ retries: 1 }), "-", "f", healthy],
  ["so many successes in a row are needed", health({ successes: 3 }), "++-+++", "sssssp"],
  ["an unhealthy task needs them as well", health({ successes: 2 }), "+-++", "fffp", sick],
  [
    "failures in the start period do not count",
    health({ startPeriodMs: 5_000 }),
    "-------",
    "ssssssf",
  ],
  [
    "a success ends the start period",
    health({ startPeriodMs: 60_000 }),
    "--+---",
    "sspppf",
  ],
  [
    "a failure in the start period breaks a row of successes",
    health({ startPeriodMs: 60_000, successes: 2 }),
    "+-+-++",
    "sssssp",
  ],
  ["what was never ready does not fail", readiness(), "------+", "ssssssp"],
  ["what was ready ceases to be after retries", readiness({ retries: 2 }), "+--+", "ppfp"],
];

Deno.test("each row of probe results has its verdicts", () => {
  const found = TABLE.map(([what, check, probes, , from]) =>
    `${what}: ${verdicts(check, probes, from)}`
  );
  assertEquals(found, TABLE.map(([what, , , expected]) => `${what}: ${expected}`));
});

Deno.test("the start interval holds until the first verdict, within the start period", () => {
  const check = health({ intervalMs: 30_000, startIntervalMs: 500, startPeriodMs: 10_000 });
  const wait = (tally: Tally, sinceStartMs: number, jitter = 0.5) =>
    nextProbeMs(tally, { check, sinceStartMs, jitter });
  assertEquals([wait(START, 0), wait(START, 9_999), wait(START, 10_000)], [500, 500, 30_000]);
  assertEquals(wait(healthy, 0), 30_000);
  assertEquals([wait(START, 0, 0), wait(START, 0, 0.999999)], [450, 550]);
});

Deno.test("readiness is asked for at once, and often until the first success", () => {
  const check = readiness();
  assertEquals(check.atOnce, true);
  const timing = { check, sinceStartMs: 3_600_000, jitter: 0.5 };
  assertEquals([nextProbeMs(START, timing), nextProbeMs(healthy, timing)], [500, 2_000]);
});

Deno.test("the defaults of a health check are Docker's, and the engine's probes are not the agent's", () => {
  const { probe: _, ...numbers } = HealthCheck.parse({ probe: tcp });
  assertEquals(numbers, {
    intervalMs: 30_000,
    timeoutMs: 30_000,
    retries: 3,
    startPeriodMs: 0,
    startIntervalMs: 5_000,
    successes: 1,
  });
  const byEngine = (["engine", "none"] as const).map((type) =>
    healthCheckOf(HealthCheck.parse({ probe: { type } }))
  );
  assertEquals(byEngine, [undefined, undefined]);
});
