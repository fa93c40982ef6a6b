/**
 * The names of the strategies of placement. scheduler/strategies/ has them; what is missing there does not
 * compile.
 *
 * @module
 */

/** Without zod, so that the command line offers them and starts as fast. */
export const STRATEGY_NAMES = ["spread", "binpack", "epvm", "roundrobin", "random"] as const;
