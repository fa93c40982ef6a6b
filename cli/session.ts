/**
 * A command, or a main process, at the other end of a tunnel, joined to this terminal.
 *
 * The terminal leaves raw mode however it ends.
 *
 * @module
 */
import type { Deps, Io } from "./deps.ts";
import type { Tunnel } from "./tunnel.ts";

export interface SessionMode {
  /** Standard input is passed on. */
  input: boolean;
  /** The other end has a terminal. */
  tty: boolean;
  /** Signals to this program are passed on. */
  signals: boolean;
  /** Sees what is typed, passes on what it answers; undefined detaches. */
  filter?: (data: Uint8Array) => Uint8Array | undefined;
}

export type SessionEnd =
  | { kind: "exit"; code: number }
  | { kind: "detached" }
  /** `heard`: something had come from the other end before. */
  | { kind: "trouble"; message: string; heard: boolean };

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

export async function runSession(
  tunnel: Tunnel,
  mode: SessionMode,
  { io }: Pick<Deps, "io">,
): Promise<SessionEnd> {
  const raw = mode.tty && mode.input && io.inIsTty;
  let end: SessionEnd | undefined;
  const detach = () => {
    end ??= { kind: "detached" };
    tunnel.close();
  };
  const disposers = wireSignals(tunnel, { ...mode, raw, detach }, io);
  const input = mode.input ? sendInput(tunnel, io.input(), mode.filter, detach) : undefined;
  if (raw) io.setRaw(true);
  let message = "the connection broke before it ended";
  let heard = false;
  try {
    for await (const frame of tunnel.frames) {
      if (frame.kind === "data") {
        heard = true;
        if (frame.stream === "stdout") io.outBytes(frame.data);
        else io.errBytes(frame.data);
      } else if (frame.kind === "exit") {
        end ??= { kind: "exit", code: frame.code };
        tunnel.close();
      } else if (frame.kind === "error") {
        message = frame.message;
        tunnel.close();
      } else if (frame.kind === "closed" && frame.reason) message = frame.reason;
    }
  } finally {
    if (raw) io.setRaw(false);
    for (const dispose of disposers) dispose();
    input?.cancel();
    tunnel.close();
  }
  return end ?? { kind: "trouble", message, heard };
}

/** In raw mode Ctrl-C is a byte like any other; otherwise it is a signal to pass on, or the end. */
function wireSignals(
  tunnel: Tunnel,
  mode: SessionMode & { raw: boolean; detach: () => void },
  io: Io,
): (() => void)[] {
  const disposers = FORWARDED
    .filter((signal) => !mode.raw || signal !== "SIGINT")
    .map((signal) =>
      io.onSignal(
        signal,
        () => mode.signals ? tunnel.control({ type: "signal", signal }) : mode.detach(),
      )
    );
  if (mode.tty) {
    disposers.push(io.onSignal("SIGWINCH", () => {
      const size = io.size();
      if (size) tunnel.control({ type: "resize", columns: size.columns, rows: size.rows });
    }));
  }
  return disposers;
}

function sendInput(
  tunnel: Tunnel,
  input: ReadableStream<Uint8Array>,
  filter: SessionMode["filter"],
  detach: () => void,
): { cancel(): void } {
  const reader = input.getReader();
  const pump = async () => {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      const passed = filter ? filter(value) : value;
      if (passed === undefined) return detach();
      if (passed.length > 0) await tunnel.input(passed);
    }
    tunnel.control({ type: "stdin-end" });
  };
  // A terminal that went away reads as the end of input.
  pump().catch(() => tunnel.control({ type: "stdin-end" }));
  return { cancel: () => void reader.cancel().catch(() => {}) };
}
