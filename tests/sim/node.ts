/**
 * One machine with an engine and an agent. The engine and its containers, the agent's identity and its
 * state file outlive the agent's process.
 *
 * @module
 */
import { createClient } from "../../api/client.ts";
import { createAgent } from "../../worker/agent.ts";
import { makingRoom } from "../../worker/former.ts";
import { createNoGuard } from "../../worker/guard_client.ts";
import { factsOf, joinCluster, removeAll } from "../../worker/join.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { createSimRuntime, type SimControl } from "../../worker/sim.ts";
import type { SimEngine } from "../../worker/sim/engine.ts";
import { createMemoryStore, type StateStore } from "../../worker/state_file.ts";
import { slower, WatchedEngine } from "./engine.ts";
import { Guards } from "./guard.ts";
import { type Caller, noCut } from "./network.ts";
import { Machine, Process } from "./process.ts";
import type { Sim } from "./sim.ts";

export interface NodeOptions {
  name: string;
  cpus: number;
  memoryMiB: number;
  labels: Record<string, string>;
}

/** How long a worker takes to clear away what its former identities left. */
const REMOVE_ALL_MS = 15_000;
const CLEAR_AGAIN_MS = 5_000;

export class SimNode {
  /** Its ways to the replicas and back are cut until then, in virtual ms. */
  readonly cut = noCut();
  process: Process | undefined;
  /** For planted bugs: whether its strict tasks have a guard. */
  guarded = true;
  /** For planted bugs: it is not heard before what its former identities left is gone. */
  clearsFirst = false;
  nodeId: string | undefined;
  readonly engine: SimEngine;
  readonly control: SimControl;
  readonly machine: Machine;
  readonly #guards: Guards;
  /** Identities that the cluster does not know any more, whose containers may still be there. */
  #former: string[] = [];
  #joins = 0;
  readonly #disk: StateStore & { text: string | undefined };
  #credential = "";
  #starts = 0;

  constructor(readonly options: NodeOptions, private readonly sim: Sim) {
    const { name, cpus, memoryMiB } = options;
    this.machine = { name, wallErrorMs: sim.random("machines").between(-5000, 5000) };
    const host = new Process(`${name}/engine`, this.machine, {
      timeline: sim.timeline,
      monoOffsetMs: 0,
      onDeath: () => {},
      onStall: () => {},
    });
    const random = sim.random(`engine ${name}`);
    this.engine = new WatchedEngine({
      clock: host.clock,
      random: random.next,
      hostname: name,
      capacity: { cpus, memoryMiB },
      images: ["app:1"],
    }, (event, taskId) => sim.engineEvent(this, event, taskId));
    this.control = createSimRuntime({ engine: this.engine }).control;
    this.#disk = createMemoryStore();
    this.#guards = new Guards({
      timeline: sim.timeline,
      kill: (name) => this.#kill(name),
    });
  }

  #kill(name: string): boolean {
    const found = this.control.containers().find((container) => container.name === name);
    if (found?.state !== "running") return false;
    this.control.kill(found.taskId);
    return true;
  }

  /** The engine's process is started again: everything that ran has ended. */
  restartEngine(): void {
    this.control.setAvailable(false);
    for (const { taskId, state } of this.control.containers()) {
      if (state === "running") this.control.kill(taskId);
    }
  }

  /** All calls of the engine take so many times as long as they should. */
  slowEngine(factor: number): void {
    Object.assign(this.engine.timings, slower(factor));
  }

  get name(): string {
    return this.options.name;
  }

  /** Loses the agent's state file. */
  forget(): void {
    this.#disk.text = undefined;
    if (this.nodeId !== undefined) this.sim.checker.forgets(this.nodeId);
  }

  start(): void {
    const { sim } = this;
    if (this.process?.alive) return;
    const process = sim.spawn(`${this.name}/${++this.#starts}`, this.machine);
    this.process = process;
    process.death.signal.addEventListener("abort", () => {
      sim.restartLater(this.name, () => this.start());
    }, { once: true });
    this.#run(process).catch((error) => sim.bug(`${process.name}: the agent threw`, error));
  }

  async #run(process: Process): Promise<void> {
    const { sim, options } = this;
    const { clock } = process;
    const { signal } = process.stop;
    const random = sim.random(`agent ${process.name}`).next;
    const log = (level: string, message: string, fields: object = {}) =>
      sim.log(process, level, message, fields);
    const config = { ...options, address: `${this.name}.sim` };
    if (!this.nodeId && !await this.#join(process, config)) return;
    const { nodeId } = this;
    if (!nodeId) return;
    const tried = this.#removeFormer(process);
    tried.then((alive) => alive ? this.#clearFormer(process) : undefined)
      .catch((error) => sim.bug(`${process.name}: clearing threw`, error));
    if (this.clearsFirst) await tried;
    sim.note(`${process.name} is up`);
    const runtime = createSimRuntime({ engine: this.engine, nodeId });
    const agent = createAgent({
      guard: this.guarded ? this.#guards.for(process) : createNoGuard(),
      runtime: makingRoom(this.#gate(process, runtime), tried.then(() => {})),
      client: createClient({
        url: "http://berth",
        token: this.#credential,
        fetch: sim.network.fetchFor(this.callerOf(process)),
        timeoutMs: 600_000,
      }),
      clock,
      random,
      state: {
        load: () => process.effect("state load", () => this.#disk.load()),
        save: (state) => process.effect("state save", () => this.#disk.save(state)),
      },
      log,
      config: { nodeId, facts: (info) => factsOf(info, config) },
    });
    const end = await agent.run(signal);
    if (end.reason === "removed") this.#leave(process, nodeId, end.message);
    process.die(end.reason === "restart" ? "it restarts as asked" : "it ended as asked");
  }

  /** The cluster does not know it any more: it joins anew, as worker/worker.ts does. */
  #leave(process: Process, nodeId: string, message: string): void {
    if (!this.sim.checker.wasRemoved(nodeId)) {
      this.sim.bug(`${process.name}: the server refused it`, message);
    }
    this.#former.push(nodeId);
    this.nodeId = undefined;
    this.#joins++;
  }

  /** As worker/former.ts does it. */
  async #clearFormer(process: Process): Promise<void> {
    while (this.#former.length > 0 && process.alive) {
      await process.clock.sleep(CLEAR_AGAIN_MS, process.stop.signal);
      if (process.stop.signal.aborted || !await this.#removeFormer(process)) return;
    }
  }

  async #removeFormer(process: Process): Promise<boolean> {
    for (const former of [...this.#former]) {
      const runtime = this.#gate(
        process,
        createSimRuntime({ engine: this.engine, nodeId: former }),
        former,
      );
      const log = (level: string, message: string, fields: object = {}) =>
        this.sim.log(process, level, message, fields);
      const clean = await removeAll(runtime, { log, timeoutMs: REMOVE_ALL_MS });
      if (!process.alive) return false;
      if (clean) this.#former = this.#former.filter((one) => one !== former);
    }
    return true;
  }

  async #join(process: Process, config: Parameters<typeof factsOf>[1]): Promise<boolean> {
    const { sim } = this;
    const runtime = createSimRuntime({ engine: this.engine });
    const info = await runtime.info(process.stop.signal);
    if (!info.ok) {
      process.die(info.message);
      return false;
    }
    const client = createClient({
      url: "http://berth",
      token: sim.user.joinToken,
      fetch: sim.network.fetchFor(this.callerOf(process)),
      timeoutMs: 600_000,
    });
    const joined = await joinCluster(client, factsOf(info.value, config), {
      key: `join-${this.name}-${this.#joins}`,
      clock: process.clock,
      random: sim.random(`join ${this.name}`).next,
      log: (level, message, fields) => sim.log(process, level, message, fields ?? {}),
      signal: process.stop.signal,
    });
    if (joined.kind !== "joined") {
      if (joined.kind === "refused") sim.bug(`${this.name}: cannot join`, joined.message);
      process.die(joined.kind);
      return false;
    }
    this.nodeId = joined.nodeId;
    this.#credential = joined.credential;
    sim.note(`${this.name} joined`);
    return true;
  }

  /** The node as the caller of one of its processes. */
  callerOf(process: Process): Caller {
    return { name: this.name, process, cut: this.cut };
  }

  #gate(process: Process, runtime: Runtime, nodeId = this.nodeId): Runtime {
    const { sim } = this;
    const pass = <T>(what: string, run: () => Promise<T>): Promise<T> =>
      process.effect(`engine ${what}`, run);
    return {
      ...runtime,
      info: (signal) => pass("info", () => runtime.info(signal)),
      list: (signal) => pass("list", () => runtime.list(signal)),
      inspect: (taskId, signal) => pass("inspect", () => runtime.inspect(taskId, signal)),
      pull: (image, policy, options) => pass("pull", () => runtime.pull(image, policy, options)),
      create: (assignment, signal) => pass("create", () => runtime.create(assignment, signal)),
      start: (taskId, signal, files) => pass("start", () => runtime.start(taskId, signal, files)),
      stop: (taskId, options) =>
        pass("stop", () => {
          if (nodeId === this.nodeId) sim.agentEnds(this, process, taskId);
          return runtime.stop(taskId, options);
        }),
      remove: (taskId, signal) =>
        pass("remove", () => {
          if (nodeId === this.nodeId) sim.agentEnds(this, process, taskId);
          return runtime.remove(taskId, signal);
        }),
      async *events(signal) {
        for await (const event of runtime.events(signal)) {
          yield await process.effect("engine event", () => Promise.resolve(event));
        }
      },
    };
  }
}
