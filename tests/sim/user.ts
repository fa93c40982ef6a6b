/**
 * The users of a simulated cluster: what they asked for, and how they repeat what got no answer.
 *
 * @module
 */
import { type Client, createClient, describeError, type Result } from "../../api/client.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { noCut } from "./network.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

/** What a user believes of a service. */
export interface Known {
  spec: ServiceSpecInput;
  deleted: boolean;
}

const TRIES = 4;
const URL_OF_ALL = "http://berth";

export class User {
  /** The first admin token; set by the replica that makes it. */
  token = "";
  joinToken = "";
  readonly services = new Map<string, Known>();
  /** Configs and secrets that are there, as far as the user knows: their ids by name. */
  readonly stored = new Map<string, string>();
  #keys = 0;

  constructor(private readonly sim: Sim) {}

  get client(): Client {
    return createClient({
      url: URL_OF_ALL,
      token: this.token,
      fetch: this.#fetch,
      timeoutMs: 600_000,
    });
  }

  get #fetch() {
    return this.sim.network.fetchFor({ name: "user", cut: noCut() });
  }

  /** A request that the typed client does not know; what is answered, if there is an answer. */
  async request(method: string, path: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${this.token}` };
    try {
      const answer = await this.#fetch(new Request(`${URL_OF_ALL}${path}`, { method, headers }));
      return await answer.json();
    } catch {
      return undefined;
    }
  }

  /** One of the services that are there, as the user knows; of these modes only. */
  pick(random: Random, modes?: readonly string[]): [string, Known] | undefined {
    const known = [...this.services].filter(([, { spec, deleted }]) =>
      !deleted && (modes === undefined || modes.includes(spec.mode?.type ?? ""))
    );
    return known.length === 0 ? undefined : random.pick(known);
  }

  newKey(): string {
    return `key-${++this.#keys}`;
  }

  /** Asks until there is an answer, a few times. `ask` must be safe to repeat. */
  async ask<T>(what: string, ask: (client: Client) => Promise<Result<T>>): Promise<T | undefined> {
    const { sim } = this;
    const random = sim.random("user");
    for (let tries = 0; tries < TRIES; tries++) {
      const answered = await ask(this.client);
      if (answered.ok) {
        sim.note(`user ${what}: done`);
        return answered.value;
      }
      const { error } = answered;
      sim.note(`user ${what}: ${describeError(error)}`);
      if (error.kind === "problem" && error.problem.status < 500) return undefined;
      await sim.timeline.sleep(random.between(50, 2000));
    }
    return undefined;
  }
}
