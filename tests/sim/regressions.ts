/**
 * Seeds that failed once, and what they found. The programs they drive and the scripts of the seeds have
 * changed since, so most take another path now; they are run because they did take a bad one.
 *
 * What leads there again on purpose is beside them: `stories/found_nodes.ts` and `stories/found_services.ts`
 * have the moves and faults of each, one after another, and `stories/strict.ts` those of strict singletons.
 * Where a planner's table shows it in a few lines that is the place (named here).
 *
 * @module
 */
import type { Settings } from "./options.ts";

export interface Regression extends Settings {
  seed: number;
  found: string;
}

export const REGRESSIONS: readonly Regression[] = [
  {
    seed: 1,
    found: "a lost task's late report made it stopped: a task that ended changed its end",
  },
  { seed: 2, found: "a report of a lost task opened a further attempt" },
  { seed: 18, found: "a join that came twice withdrew the credential that the node worked with" },
  {
    seed: 92,
    found: "beats that were replaced before the leader looked: live nodes were given up",
  },
  { seed: 193, found: "a join that came twice at once was refused for its own name" },
  { seed: 1060, found: "a leader that had stood still took that time for the nodes' silence" },
  { seed: 1028, found: "the same, having stood still between two looks" },
  { seed: 56, found: "the same, with a node that had not been judged yet" },
  {
    seed: 43,
    found: "a stopped job was told to have failed: lost tasks counted against its retries",
  },
  {
    seed: 1103,
    found: "a job that had failed was told to be converging: its failures were purged",
  },
  {
    seed: 5031,
    found: "task ids of leaders with different clocks: the newest task was not the newest",
  },
  { seed: 5426, found: "the same, so that a failed job was told to be converging" },
  { seed: 27, found: "an agent that had lost its state started again what had ended" },
  {
    seed: 8044,
    found: "a node heard while the leader stood still was taken back and given up at once",
  },
  {
    seed: 4,
    found: "a global service with a limit of tasks a node stopped and started its tasks for ever",
  },
  { seed: 9, found: "a run that was replaced while it waited was placed in the same plan" },
  { seed: 40, found: "after a purge and a change of leader a task's id was used again" },
  { seed: 3, found: "a report overtaken by its node's removal left a row behind" },
  {
    seed: 27,
    faults: "none",
    found: "a poll that was held counted as silence: tasks with stopAfterMs stopped for ever",
  },
  { seed: 36, faults: "none", found: "the same, with strict singletons" },
  { seed: 107, found: "a no-execute taint left the tasks of global services where they were" },
  {
    seed: 180,
    found: "an agent that was started again did not probe tasks that were not ready yet",
  },
  {
    seed: 74,
    found:
      "beside a task that was put aside a slot got two tasks (tests/scheduler/rollout_rules_test.ts); " +
      "a canary did not count what was on its way out (tests/scheduler/rollout_canary_test.ts)",
  },
  { seed: 1460, found: "a service was planned without its volumes: a row of it was damaged" },
  {
    seed: 1829,
    found:
      "what an agent that lost its state was refused was not taken (tests/worker/agent_server_test.ts)",
  },
  {
    seed: 2257,
    found: "a canary did not count a new task on its way out beside the old one " +
      "(tests/scheduler/rollout_canary_test.ts)",
  },
  {
    seed: 2322,
    found:
      "a node's status that was written while it was removed stayed (tests/scheduler/tick_rows_test.ts)",
  },
  {
    seed: 339,
    found: "a worker that joined anew was not heard before its former containers were gone",
  },
  { seed: 1762, found: "the same" },
  {
    seed: 1567,
    found:
      "a start that an agent had ordered before it died came after the task was told as stopped",
  },
  {
    seed: 1917,
    found: "the checker's own: nodes that lack a task's volume counted for its spread",
  },
  {
    seed: 2418,
    found: "a strict task was given up though its node had been heard since the beats were read " +
      "(tests/scheduler/silence_test.ts)",
  },
  {
    seed: 1274,
    found: "a strict task on its way out was not guarded any more (tests/worker/cut_off_test.ts)",
  },
  {
    seed: 1139,
    found: "the checker's own: what was removed before the answer to its rotation came",
  },
  {
    seed: 1105,
    found: "a canary did not count a new task in a slot that was wanted no more " +
      "(tests/scheduler/rollout_canary_test.ts)",
  },
  {
    seed: 3728,
    found:
      "a task of a global service that waited for room kept another one on a node that drives " +
      "it out (tests/scheduler/modes/global_test.ts)",
  },
  {
    seed: 200711,
    found:
      "the checker's own: an agent decided to stop a task, stood still, and had an answer when " +
      "it went on to stop it",
  },
  {
    seed: 202381,
    found: "a change that was undone before the leader looked left its revision when its service " +
      "was removed (tests/scheduler/tick_rows_test.ts)",
  },
  {
    seed: 211047,
    found: "the checker's own: a slot beside a canary that waited for room was not to be in the " +
      "back-off of its old revision, and by another rule not to have the new one",
  },
  {
    seed: 300977,
    found: "the checker's own: a failed job went by itself while the users were told of it",
  },
  {
    seed: 301781,
    found: "a node that was down came back to a new leader by a beat of before its term, and was " +
      "given up again for the time that the leader had stood still (tests/scheduler/silence_test.ts)",
  },
  { seed: 402329, found: "the same, with a task that was placed there and lost" },
  { seed: 600069, found: "the same, with a beat of between two times that the leader stood still" },
  {
    seed: 600843,
    found:
      "the checker's own: an agent stood still between noting when it sends a poll and sending it",
  },
  {
    seed: 700045,
    faults: "poison,process",
    found: "a service was removed while the row of a run was damaged, and that stayed " +
      "(tests/scheduler/modes/tick_test.ts)",
  },
  {
    seed: 622254,
    found:
      "a canary that had failed in one slot after another got them all once they fell vacant " +
      "(tests/scheduler/rollout_failing_test.ts)",
  },
  {
    seed: 621788,
    found: "a new version passed over a service of which another secret was marked for a removal " +
      "that was then refused (tests/kv/rotation_test.ts)",
  },
  {
    seed: 630183,
    found: "a task of a global service counted for its spread while it waited for others to make " +
      "room (tests/scheduler/preempt_modes_test.ts)",
  },
  {
    seed: 989,
    found:
      "the simulation's own: a row was damaged of which the process kept a copy, that stayed so",
  },
  { seed: 1341, found: "the same" },
  { seed: 1655, found: "the same" },
  { seed: 1975, found: "the same" },
  {
    seed: 15943,
    found: "a replica that stood still carried out a rotation that others had finished, over a " +
      "user's undo of meanwhile (tests/kv/rotation_test.ts); and the checker's own: an undo to a " +
      "revision that refers to an earlier version, of one that did not refer to it",
  },
  { seed: 24754, found: "the same: over an undo, three seconds after it" },
  { seed: 36725, found: "the same, by a replica that had stood still for nine seconds" },
  { seed: 40486, found: "the same, of a secret" },
  {
    seed: 18781,
    found: "the checker's own: a node whose agent heard late that it had joined began to poll " +
      "half a second before a new node's time was over",
  },
  {
    seed: 32823,
    found:
      "the simulation's own: a replica that stood still was reached by requests, noticed that " +
      "callers were gone, and so looked at beats meanwhile (tests/sim/process_test.ts)",
  },
  {
    seed: 33014,
    found: "a task with a required affinity was placed where its company only had room set aside " +
      "(tests/scheduler/preempt_test.ts)",
  },
  {
    seed: 36917,
    found:
      "a leader that another one deposed while it loaded told a node an old set as if it were " +
      "the newest (tests/scheduler/tick_test.ts)",
  },
  { seed: 38915, found: "the same, of a task that the node was to run" },
  {
    seed: 43833,
    found:
      "beside a task that was put aside the one in its place was stopped and made anew without " +
      "end (tests/scheduler/rollout_rules_test.ts)",
  },
  { seed: 45247, found: "the simulation's own: the same as 32823" },
  {
    seed: 47605,
    found: "a report that got no answer came in after a later one that changed nothing, and held " +
      "(tests/kv/reports_test.ts)",
  },
  {
    seed: 54596,
    found:
      "a restart of a task was stored after its service had gone (tests/kv/task_restarts_test.ts)",
  },
  { seed: 56101, found: "the same as 43833" },
  { seed: 67583, found: "the simulation's own: the same as 32823" },
  { seed: 68097, found: "the same" },
  { seed: 70886, found: "the same as 47605" },
  {
    seed: 74398,
    found:
      "a service was restarted with the revision that the leader went back from at that moment " +
      "(tests/kv/rollouts_test.ts)",
  },
  { seed: 83633, found: "the same as 36917" },
  { seed: 86415, found: "the same as 54596" },
  { seed: 94838, found: "the same as 36917" },
  { seed: 96044, found: "the same as 36917" },
  {
    seed: 93362,
    found:
      "open, and not met at this seed's times any more: a start of an agent that died took effect " +
      "after the next one had seen the run end (docs/reliability.md)",
  },
];
