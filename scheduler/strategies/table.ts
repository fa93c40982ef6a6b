/**
 * The strategies by name. A new one is a file here and a line below; its name is also one of the API's
 * (kv/schema/strategies.ts), and without either of the two nothing compiles.
 *
 * @module
 */
import type { StrategyName } from "../../kv/schema/placement.ts";
import type { Strategy } from "../scores.ts";
import { binpack } from "./binpack.ts";
import { epvm } from "./epvm.ts";
import { random } from "./random.ts";
import { roundrobin } from "./roundrobin.ts";
import { spread } from "./spread.ts";

export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  spread,
  binpack,
  epvm,
  roundrobin,
  random,
};
