/**
 * What a service's mode asks for, in the terms that the planner's concerns share.
 *
 * @module
 */
import type { Restart } from "./backoff.ts";
import type { TaskRecord } from "./world.ts";

export interface Policy {
  /** Slots from 1 on that are to have a task now; 0 for a service that is stopped or deleted. */
  wanted: number;
  /** Slots whose newest ended task is kept, so that its logs can be read. */
  kept: number;
  /** How many tasks may be created beside the live ones. */
  openings: number;
  /** Whether running tasks of an older revision are replaced, so that all slots are to keep running. */
  rolls: boolean;
  /**
   * How many tasks ought to run now, for the disruption budget; absent: as many as are live, since slots
   * without a task are not late.
   */
  due?(): number;
  /** When and how a task of the newest revision is replaced; undefined: never. */
  fate(ended: TaskRecord): Restart | undefined;
}
