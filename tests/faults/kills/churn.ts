/**
 * A user who keeps asking for something else: creates, scales, updates and deletes services, and runs
 * jobs. Each write carries an idempotency key and is repeated until it is answered, so what was
 * acknowledged is known exactly.
 *
 * @module
 */
import type { CallOptions, Client, Result } from "../../../api/client.ts";
import { describeError } from "../../../api/client.ts";
import { isNotFound } from "../../../cli/find.ts";
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import type { Random } from "../../sim/random.ts";
import { TEST_IMAGE } from "../../support/engine.ts";
import type { Wanted } from "./audit.ts";

export interface Churn {
  /** One more wish, chosen at random. */
  step(): Promise<void>;
  /** What is asked for now. */
  wanted(): Wanted[];
  /** The kind of each service that ever was. */
  kinds: ReadonlyMap<string, Wanted["kind"]>;
  writes(): number;
  /** Writes that had to be repeated since they got no answer. */
  repeated(): number;
  /** Asks for everything to be gone. */
  deleteAll(): Promise<void>;
}

export interface ChurnDeps {
  client: Client;
  random: Random;
  project: string;
  newKey: () => string;
  /** Names are unique across legs. */
  prefix: string;
  /** No more services than these at a time. */
  maxServices: number;
  /** Ends the repeating of what gets no answer. */
  signal?: AbortSignal;
  /** Where their tasks may run. */
  placement?: ServiceSpecInput["template"]["placement"];
}

/** Of repeating one write. */
const PATIENCE_MS = 120_000;
const AGAIN_MS = 100;

const COMMANDS: Record<Wanted["kind"], readonly string[][]> = {
  steady: [["sleep", "3600"], ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]],
  flaky: [["sh", "-c", "sleep 2; exit 1"]],
  job: [["true"], ["sleep", "1"]],
};

export function createChurn(deps: ChurnDeps): Churn {
  const { client, random, project, newKey, prefix, maxServices, placement, signal } = deps;
  const services = new Map<string, Wanted & { command: string[] }>();
  const kinds = new Map<string, Wanted["kind"]>();
  let writes = 0, repeated = 0, names = 0;

  function specOf({ name, kind, count, version, command }: Wanted & { command: string[] }) {
    return {
      name,
      project,
      mode: kind === "job"
        ? { type: "job", completions: count, parallelism: count, retries: 10 }
        : { type: "replicated", replicas: count },
      template: {
        image: TEST_IMAGE,
        command,
        pullPolicy: "never",
        stopGraceMs: command[0] === "sh" ? 1000 : 0,
        env: { VERSION: String(version) },
        ...(placement ? { placement } : {}),
        restart: { maxAttempts: 1000, maxDelayMs: 2000 },
      },
      update: { parallelism: 2, monitorMs: 200 },
    } satisfies ServiceSpecInput;
  }

  async function write(
    what: string,
    call: (options: CallOptions) => Promise<Result<unknown>>,
  ): Promise<void> {
    const options = { idempotencyKey: newKey() };
    const untilMs = performance.now() + PATIENCE_MS;
    writes++;
    for (let first = true;; first = false) {
      const answer = await call(options);
      if (!first) repeated++;
      if (answer.ok || signal?.aborted) return;
      const { error } = answer;
      const passing = error.kind === "unreachable" ||
        (error.kind === "problem" && error.problem.status >= 500);
      if (!passing) throw new Error(`${what}: ${describeError(error)}`);
      if (performance.now() > untilMs) {
        throw new Error(`${what}: ${describeError(error)}, for good`);
      }
      await systemClock.sleep(AGAIN_MS);
    }
  }

  async function create(kind: Wanted["kind"]): Promise<void> {
    const name = `${prefix}-${++names}`;
    const count = kind === "flaky" ? 1 : 1 + random.int(4);
    const service = { name, kind, count, version: 1, command: random.pick(COMMANDS[kind]) };
    kinds.set(name, kind);
    await write(`create ${name}`, (o) => client.createService(specOf(service), o));
    services.set(name, service);
  }

  /** Changes a service, once it is known what the change is to be. */
  async function change(name: string, fields: Partial<Wanted>): Promise<void> {
    const before = services.get(name);
    if (!before) return;
    const after = { ...before, ...fields };
    await write(`change ${name}`, (o) => client.putService(name, specOf(after), o));
    services.set(name, after);
  }

  async function remove(name: string): Promise<void> {
    await write(`delete ${name}`, async (o) => {
      const answer = await client.deleteService(name, project, o);
      // Carried out before, by a call whose answer was lost; it may be gone altogether by now.
      return !answer.ok && isNotFound(answer.error) ? { ok: true, value: undefined } : answer;
    });
    services.delete(name);
  }

  async function step(): Promise<void> {
    const names = [...services.keys()];
    const steady = [...services.values()].filter((s) => s.kind === "steady");
    if (names.length === 0) return await create("steady");
    if (names.length >= maxServices) return await remove(random.pick(names));
    const wish = random.weighted([
      { wish: "steady" as const, weight: 4 },
      { wish: "job" as const, weight: 3 },
      { wish: "flaky" as const, weight: 0.3 },
      { wish: "delete" as const, weight: 3 },
      { wish: "scale" as const, weight: steady.length > 0 ? 4 : 0 },
      { wish: "update" as const, weight: steady.length > 0 ? 3 : 0 },
    ]).wish;
    if (wish === "delete") return await remove(random.pick(names));
    if (wish === "scale") return await change(random.pick(steady).name, { count: random.int(6) });
    if (wish === "update") {
      const { name, version } = random.pick(steady);
      return await change(name, { version: version + 1 });
    }
    await create(wish);
  }

  return {
    step,
    wanted: () => [...services.values()].map(({ command: _, ...wanted }) => wanted),
    kinds,
    writes: () => writes,
    repeated: () => repeated,
    async deleteAll() {
      for (const name of [...services.keys()]) await remove(name);
    },
  };
}
