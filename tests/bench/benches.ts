/**
 * All benchmarks, in the order in which they are listed, run and reported.
 *
 * @module
 */
import { balance } from "./balance.ts";
import { burst } from "./burst.ts";
import { fanout } from "./fanout.ts";
import { firstRun } from "./first_run.ts";
import type { Bench } from "./harness.ts";
import { heal } from "./heal.ts";
import { idle } from "./idle.ts";
import { mixed } from "./mixed.ts";
import { nodeLoss } from "./node_loss.ts";
import { placements } from "./placements.ts";
import { restart } from "./restart.ts";
import { scale } from "./scale.ts";
import { soak } from "./soak.ts";
import { up } from "./up.ts";

export const BENCHES: readonly Bench[] = [
  ...[firstRun, up, burst, heal, nodeLoss, placements, fanout, mixed, restart, balance],
  ...[scale, idle, soak],
];
