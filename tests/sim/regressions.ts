/**
 * Seeds that failed once, and what they found. The programs they drive have changed since, so a seed may
 * no longer take the same path; they are run because they did take a bad one.
 *
 * @module
 */
export const REGRESSIONS: readonly { seed: number; found: string }[] = [
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
];
