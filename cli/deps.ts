/**
 * Everything a command needs from outside, passed in: terminal, time, randomness, files, server.
 *
 * @module
 */
import type { Client } from "../api/client.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { BuildPlan } from "./compose/map/build.ts";
import type { ContextStore } from "./contexts.ts";
import type { Template } from "./format/template.ts";

/** The three standard streams. Writes are synchronous, so that nothing is lost on exit. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  outBytes(data: Uint8Array): void;
  errBytes(data: Uint8Array): void;
  outIsTty: boolean;
  errIsTty: boolean;
  inIsTty: boolean;
  /** Size of the terminal, if there is one. */
  size(): { columns: number; rows: number } | undefined;
  /** Standard input. Read by at most one command. */
  input(): ReadableStream<Uint8Array>;
  /** Keys go to the reader one by one, unechoed, Ctrl-C included. */
  setRaw(on: boolean): void;
  /** Asks the person at the terminal; anything but yes is no. */
  confirm(question: string): boolean;
  /** Calls back on a signal until the returned function is called. */
  onSignal(signal: Deno.Signal, handler: () => void): () => void;
}

export type Output = "table" | "wide" | "json" | "yaml";

/** How to show things. */
export interface View {
  output: Output;
  color: boolean;
  quiet: boolean;
  /** How each thing is printed; `output` is json then. */
  template?: Template;
  /** Nothing is asked: the answer is yes. */
  yes?: boolean;
  /** Width to fit tables into; absent when stdout is not a terminal. */
  columns?: number;
}

/** A file in the making. It has its name, replacing what had it, once it is committed. */
export interface FileSink {
  write(data: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/** The engine of this machine, as far as images are concerned. */
export interface Builder {
  /** For people. */
  where: string;
  /** The id of an image that it has. */
  imageId(image: string, signal: AbortSignal): Promise<Looked>;
  /** `onLine` gets what the engine says meanwhile. */
  build(
    plan: BuildPlan,
    options: { signal: AbortSignal; onLine: (text: string) => void },
  ): Promise<Built>;
}

export type Looked = { ok: true; id: string | undefined } | { ok: false; message: string };
export type Built = { ok: true; id: string } | { ok: false; message: string };

export interface Deps {
  io: Io;
  view: View;
  clock: Clock;
  /** A number in [0, 1), for names and ids. */
  random: () => number;
  /** From `--timeout`; each command has its own default. */
  timeoutMs?: number;
  /** Server and token from flags or environment, if given there. */
  given: { server: string | undefined; token: string | undefined };
  contexts: ContextStore;
  readTextFile(path: string): Promise<string>;
  here: Here;
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  openFile(path: string): Promise<ReadableStream<Uint8Array>>;
  createFile(path: string): Promise<FileSink>;
  /** Undefined when this machine has no engine. */
  builder(): Promise<Builder | undefined>;
  /** Which server and token would be used, and from where. */
  connection(): Promise<Connection>;
  connect(target: { server: string; token?: string }): Promise<Client>;
}

/** Where the command runs, and who runs it. */
export interface Here {
  cwd(): string;
  /** Variables of the environment: Compose files may refer to any. */
  env(name: string): string | undefined;
  exists(path: string): Promise<boolean>;
  /** For people: `ann@desk`. */
  user(): string;
}

/** A server to talk to; `token` is a secret and is never printed. */
export interface Target {
  server: string;
  token?: string;
  /** Where it comes from, for people: "--server", "BERTH_SERVER", "context dev". */
  from: string;
}

export type Connection = { ok: true; target: Target } | { ok: false; message: string };

export interface ServerDeps extends Deps {
  client: Client;
  target: Target;
}
