/**
 * What the cases of the runtime contract stand on: the engine under test and short forms.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ulid } from "ulid";
import { Assignment, ExecOptions, LogsOptions } from "../../kv/schema/agent.ts";
import type { EngineFailure, ExecSession, Outcome, OutputChunk } from "../../worker/runtime.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { eventually } from "../support/eventually.ts";

/** One engine, with an image that has `sh`, `sleep`, `cat` and `echo`. */
export interface RuntimeHarness {
  /** A new runtime on the same engine; closed by {@link RuntimeHarness.close}. */
  runtime(nodeId: string): Runtime;
  image: string;
  /** Names of all containers of the engine, of whatever node. */
  containers(): Promise<string[]>;
  /** The commands that run in a container beside its own, by their argv. */
  processes(taskId: string): Promise<string[]>;
  removeBehindBack(taskId: string): Promise<void>;
  /** Removes the containers of the nodes that were asked for, and closes everything. */
  close(): Promise<void>;
}

export type Template = Partial<Assignment["template"]>;
export type Case = (at: Bench) => Promise<void>;

const SECONDS = 1000;
/** A bound on each call, so that a hang is a failure. */
export const soon = () => AbortSignal.timeout(20 * SECONDS);
/** A command that says `ready` and ends with `code` on a signal, and only then. */
export const trapping = (code: number, signal = "TERM") => [
  "sh",
  "-c",
  `trap 'exit ${code}' ${signal}; echo ready; while true; do sleep 0.05; done`,
];

/** A runtime of one node, and short forms of what the cases do with it. */
export class Bench {
  readonly nodeId = newId();
  readonly runtime: Runtime;
  constructor(readonly harness: RuntimeHarness) {
    this.runtime = harness.runtime(this.nodeId);
  }

  assignment(template: Template = {}): Assignment {
    const taskId = newId();
    return Assignment.parse({
      taskId,
      serviceId: newId(),
      service: "contract",
      project: "default",
      slot: 1,
      revision: 1,
      desired: "run",
      template: { image: this.harness.image, command: ["sleep", "1000"], init: true, ...template },
    });
  }

  async started(template: Template = {}): Promise<Assignment> {
    const assignment = this.assignment(template);
    ok(await this.runtime.create(assignment, soon()));
    ok(await this.runtime.start(assignment.taskId, soon()));
    return assignment;
  }

  async status(taskId: string) {
    const status = ok(await this.runtime.inspect(taskId, soon()));
    assert(status, `the container of task ${taskId} is gone`);
    return status;
  }

  exited(taskId: string) {
    return eventually(async () => {
      const status = await this.status(taskId);
      return status.state === "exited" ? status : undefined;
    }, { what: "the container to exit" });
  }

  /** Waits until the container has said `word`. */
  async said(taskId: string, word: string) {
    await eventually(async () => (await text(await this.logs(taskId))).stdout.includes(word));
  }

  async exec(taskId: string, options: Partial<ExecOptions>): Promise<ExecSession> {
    return ok(await this.runtime.exec(taskId, ExecOptions.parse(options), soon()));
  }

  async logs(taskId: string, options: Partial<LogsOptions> = {}, signal = soon()) {
    return ok(await this.runtime.logs(taskId, LogsOptions.parse(options), signal));
  }
}

export const newId = () => ulid().toLowerCase();

/** The value of a call that must succeed. */
export function ok<T>(outcome: Outcome<T>): T {
  assert(outcome.ok, outcome.ok ? "" : `${outcome.kind}: ${outcome.message}`);
  return outcome.value;
}

/** The failure of a call that must fail in this way. */
export function failure(outcome: Outcome<unknown>, kind: EngineFailure["kind"]): EngineFailure {
  assert(!outcome.ok, "the call succeeded");
  assertEquals(outcome.kind, kind, outcome.message);
  assert(!outcome.message.includes("\n"), `more than one line: ${outcome.message}`);
  return outcome;
}

/** All that is said until the output ends. */
export async function text(
  output: AsyncIterable<OutputChunk>,
): Promise<{ stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  for await (const { stream, data } of output) said[stream] += decoder.decode(data);
  return said;
}
