/**
 * A command inside a simulated container.
 *
 * @module
 */
import type { ExecOptions } from "../../kv/schema/agent.ts";
import type { ExecSession, OutputChunk } from "../runtime.ts";
import { createChannel } from "./channel.ts";
import type { SimContainer, SimEngine, SimExec } from "./engine.ts";
import { onSignal, programOf, run } from "./program.ts";

/** Starts the command; it ends by itself, by a signal, with its container, or by `close`. */
export function startExec(
  engine: SimEngine,
  container: SimContainer,
  options: ExecOptions,
): ExecSession {
  const ended = new AbortController();
  const output = createChannel<OutputChunk>();
  const input = createChannel<Uint8Array>();
  let finish = (_code: number) => {};
  const code = new Promise<number>((resolve) => finish = resolve);
  const exec: SimExec = {
    command: options.command,
    program: programOf(options.command),
    finish(exitCode) {
      container.execs.delete(exec);
      ended.abort();
      input.end();
      output.end();
      finish(exitCode);
    },
  };
  container.execs.add(exec);
  if (!options.stdin) input.end();
  void run(exec.program, {
    clock: engine.options.clock,
    signal: ended.signal,
    // A terminal has one output stream.
    write: (stream, data) => output.push({ stream: options.tty ? "stdout" : stream, data }),
    input,
  }).then((exitCode) => {
    if (exitCode !== "forever") exec.finish(exitCode);
  });
  return {
    output,
    write(data) {
      // A terminal turns ^C into an interrupt.
      if (options.tty && data.includes(3)) deliver("INT");
      else input.push(data.slice());
      return Promise.resolve();
    },
    endInput: () => input.end(),
    resize: () => Promise.resolve(),
    signal(name) {
      deliver(name);
      return Promise.resolve();
    },
    exitCode: () => code,
    close() {
      exec.finish(137);
      return Promise.resolve();
    },
  };

  function deliver(signal: string): void {
    const answer = onSignal(exec.program, signal);
    if (answer !== "ignore") exec.finish(answer);
  }
}
