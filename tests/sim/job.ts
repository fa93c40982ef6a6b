/// <reference lib="deno.worker" />
/**
 * Runs seeds in a thread of its own, one after another as it is told.
 *
 * @module
 */
import { type Settings, settingsToOptions } from "./options.ts";
import { runSeed } from "./run.ts";

export interface JobRequest {
  seed: number;
  settings: Settings;
}

export interface JobAnswer {
  seed: number;
  problem?: string;
}

self.onmessage = async ({ data }: MessageEvent<JobRequest>) => {
  const { seed, settings } = data;
  const { problem } = await runSeed({ ...settingsToOptions(settings), seed });
  const answer: JobAnswer = { seed, ...(problem === undefined ? {} : { problem }) };
  self.postMessage(answer);
};
