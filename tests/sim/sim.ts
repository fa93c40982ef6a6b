/**
 * One simulated cluster: its time, its randomness, its parts, and the history of what happened.
 *
 * 1. One stimulus at a time: a timer fires, then everything runs that waits for no time, then the next
 *    timer fires. Together with the database's order of operations this makes a history a function of
 *    the seed.
 * 2. Whoever may die is started again by a timer, until the simulation ends.
 *
 * @module
 */
import { type Kv, messageOf } from "../../kv/store.ts";
import { idOf } from "../support/ids.ts";
import { type Checker, createChecker, describe } from "./checker.ts";
import { Database } from "./database.ts";
import { type KvFaults, NO_KV_FAULTS } from "./kv_faults.ts";
import { type Endpoint, Network, type NetworkFaults, NO_NETWORK_FAULTS } from "./network.ts";
import type { EngineEvent } from "./engine.ts";
import { type NodeOptions, SimNode } from "./node.ts";
import { Replica } from "./plane.ts";
import { Poison } from "./poison.ts";
import { type Machine, Process, wallMsOf } from "./process.ts";
import { createRandom, type Random } from "./random.ts";
import { Timeline } from "./timeline.ts";
import { allElseDone, eventLoopTurn } from "./turn.ts";
import { User } from "./user.ts";

/** The simulation broke a rule, or cannot go on: why, in one line. */
export class Violation extends Error {}

const RESTART_MS = { min: 200, max: 9_000 } as const;
/** Timers that fire one after another at the same moment: a handful is usual. */
const MOST_AT_ONCE = 200;

/** How the control plane runs; see api/server/assembly.ts. */
export type Mode = "resident" | "request-driven";

interface Served {
  status: number;
  body: string;
}

export type TamperServe = (
  request: { method: string; path: string; status: number },
  answer: Served,
) => Served;

export class Sim {
  readonly timeline = new Timeline();
  readonly history: string[] = [];
  readonly database: Database;
  readonly network: Network;
  readonly user: User;
  readonly replicas: Replica[] = [];
  readonly nodes: SimNode[] = [];
  /** What the tags of images stand for at their registry. */
  readonly #pushed = new Map<string, string>();
  readonly checker: Checker;
  readonly poison: Poison;
  /** What is wrong with network and database when nothing special is. */
  base: { network: NetworkFaults; database: KvFaults } = {
    network: NO_NETWORK_FAULTS,
    database: NO_KV_FAULTS,
  };
  /** For planted bugs: changes what a replica answers. */
  tamperServe: TamperServe | undefined;
  /** One process at a time has the database. */
  exclusive = false;
  /** For planted bugs: the silence that leaders go by, instead of what agents are told. */
  leadersNodeTtlMs: number | undefined;
  /** For planted bugs in rows, of which the memory of the leader knows nothing: polls are answered from rows. */
  answersFromRows = false;
  /** For planted bugs: runs before a node starts. */
  prepareNode: (node: SimNode) => void = () => {};
  /** Whether what dies by itself is started again soon; while healing, at once. */
  patient = true;
  #violation: Violation | undefined;
  #atOnce = 0;
  #processes = 0;
  readonly #streams = new Map<string, Random>();
  readonly #closers: { close(): Promise<void> }[] = [];

  constructor(readonly seed: number, readonly mode: Mode, kv: Kv) {
    this.checker = createChecker(() => this.timeline.nowMs, (problem) => this.fail(problem));
    this.database = new Database(kv, this.timeline, this.random("database"));
    this.database.observe((commit) => {
      for (const line of describe(commit)) this.note(line);
      this.checker.commit(commit);
    });
    this.network = new Network(
      this.timeline,
      this.random("network"),
      () => this.endpoints(),
      {
        begins: (delivery) => this.checker.requestBegins(delivery),
        ends: (delivery, answer) => this.checker.requestEnds(delivery, answer),
        received: (delivery, answer) => this.checker.answerReceived(delivery, answer),
      },
    );
    this.user = new User(this);
    this.poison = new Poison(this);
  }

  random(name: string): Random {
    let stream = this.#streams.get(name);
    if (!stream) this.#streams.set(name, stream = createRandom(this.seed, name));
    return stream;
  }

  /** The clock of the replicas, once they agree. */
  wallMs(): number {
    const [replica] = this.replicas;
    return replica ? wallMsOf(this.timeline, replica.machine) : 0;
  }

  endpoints(): Endpoint[] {
    return this.replicas.flatMap(({ endpoint }) => endpoint ? [endpoint] : []);
  }

  addReplica(): void {
    const replica = new Replica(`api${this.replicas.length + 1}`, this);
    this.replicas.push(replica);
    replica.start();
  }

  addNode(options: Omit<NodeOptions, "name">): SimNode {
    const node = new SimNode({ name: `n${this.nodes.length + 1}`, ...options }, this);
    this.nodes.push(node);
    for (const [image, digest] of this.#pushed) node.control.push(image, digest);
    this.prepareNode(node);
    node.start();
    return node;
  }

  /** Moves a tag: it stands for the image of that number from now on. */
  push(image: string, number: number): void {
    const digest = `sha256:${number.toString(16).padStart(64, "0")}`;
    this.#pushed.set(image, digest);
    for (const { control } of this.nodes) control.push(image, digest);
  }

  spawn(name: string, machine: Machine): Process {
    const monoOffsetMs = ++this.#processes * 1_000_000;
    return new Process(name, machine, {
      timeline: this.timeline,
      monoOffsetMs,
      onDeath: (_, why) => this.note(`${name} is gone: ${why}`),
      onStall: (_, ms) => {
        const fromMs = this.timeline.nowMs;
        this.note(`${name} stands still for ${Math.round(ms)} ms`);
        this.checker.stalled(name, { fromMs, toMs: fromMs + ms });
      },
    });
  }

  restartLater(name: string, start: () => void): void {
    const { min, max } = RESTART_MS;
    this.timeline.after(this.patient ? this.random(`restart ${name}`).between(min, max) : 1, start);
  }

  /** ULIDs as a process would mint them: by its wall clock, never backwards. */
  idsFor(process: Process): () => string {
    const { clock } = process;
    const suffix = this.#processes;
    let lastMs = 0, count = 0;
    return () => {
      lastMs = Math.max(lastMs, clock.wallMs());
      return idOf(lastMs).slice(-10) + idOf(++count).slice(-8) + idOf(suffix).slice(-8);
    };
  }

  /** Adds a line to the history, which ends where a rule was broken. */
  note(line: string): void {
    if (this.#violation) return;
    // Versionstamps are the database's own; only whether they are equal means something.
    const text = line.replaceAll(/\b0{6}[0-9a-f]{14}\b/g, (stamp) => this.database.nameOf(stamp));
    this.history.push(`${(this.timeline.nowMs / 1000).toFixed(3).padStart(8)} ${text}`);
  }

  log(process: Process, level: string, message: string, fields: object): void {
    if (!process.alive || level === "debug") return;
    this.note(`${process.name} ${level}: ${message} ${JSON.stringify(fields)}`);
  }

  /** Something that must not happen, whatever the faults. */
  bug(what: string, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.fail(`${what}: ${stack ?? messageOf(error)}`);
  }

  fail(problem: string): void {
    if (this.#violation) return;
    this.note(`BROKEN ${problem}`);
    this.#violation = new Violation(problem);
  }

  onEnd(closer: { close(): Promise<void> }): void {
    this.#closers.push(closer);
  }

  engineEvent(node: SimNode, event: EngineEvent, taskId: string): void {
    this.note(`${node.name} engine: ${event} ${taskId}`);
    const image = node.engine.containers.get(taskId)?.assignment.template.image;
    const { name, nodeId = "" } = node;
    this.checker.engine({ node: name, nodeId, event, taskId, ...(image ? { image } : {}) });
  }

  /** An agent asks its engine to end a container. */
  agentEnds(node: SimNode, process: Process, taskId: string): void {
    const running = node.control.containers().some((container) =>
      container.taskId === taskId && container.state === "running"
    );
    if (!running) return;
    const { name, nodeId = "" } = node;
    this.checker.agentEnds({ node: name, nodeId, process: process.name, taskId });
  }

  /** Lets virtual time pass until `ms` from now, or until `until` holds. Throws a {@link Violation}. */
  async pass(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const endMs = this.timeline.nowMs + ms;
    while (true) {
      await this.#drain();
      if (this.#violation) throw this.#violation;
      if (until()) return true;
      const nextMs = this.timeline.nextMs();
      if (nextMs === undefined || nextMs > endMs) break;
      this.#atOnce = nextMs > this.timeline.nowMs ? 0 : this.#atOnce + 1;
      if (this.#atOnce > MOST_AT_ONCE) {
        throw new Violation("convergence: work goes on without end, and no time passes");
      }
      this.timeline.fire();
    }
    this.timeline.nowMs = endMs;
    return false;
  }

  /** Runs everything that waits for no time. */
  async #drain(): Promise<void> {
    const { database } = this;
    await allElseDone();
    while (database.busy) {
      await database.settled();
      await allElseDone();
    }
  }

  /** Ends all processes; nothing of the simulation runs after it. */
  async end(): Promise<void> {
    const parts = [...this.replicas, ...this.nodes];
    this.restartLater = () => {};
    for (const { process } of parts) process?.die("the simulation ends");
    for (const closer of this.#closers) void closer.close();
    await this.#drain();
    await eventLoopTurn();
  }
}
