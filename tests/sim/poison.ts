/**
 * Rows that somebody else has damaged: every wake-up that leads to one fails, until it is parked. While
 * such a row is there, users are told so; once it is put right, what was parked is retried by hand.
 *
 * @module
 */
import { z } from "zod";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

const DAMAGED = { damaged: "by somebody else" } as const;

const Parked = z.object({ items: z.array(z.object({ messageId: z.string() })) });

export class Poison {
  readonly #keys: Deno.KvKey[] = [];

  constructor(private readonly sim: Sim) {}

  /** Damages what the leader reads of a service when it is told to look at it. */
  damage(random: Random): string | undefined {
    const requests = [...this.sim.database.mirror.values()].filter(({ key }) =>
      ["rollout_request", "task_restarts"].includes(String(key[0]))
    );
    if (requests.length === 0) return undefined;
    const { key } = random.pick(requests);
    this.#keys.push(key);
    void this.sim.database.vandalise(key, DAMAGED);
    return key.join("/");
  }

  /** Puts the rows right. */
  async cure(): Promise<void> {
    const isDamaged = (value: unknown) =>
      typeof value === "object" && value !== null && "damaged" in value;
    for (const key of this.#keys.splice(0)) await this.sim.database.restore(key, isDamaged);
  }

  /** A user retries what was parked. */
  async retryParked(): Promise<void> {
    const { user } = this.sim;
    const answered = await user.request("GET", "/v1/queue/parked");
    const parked = Parked.safeParse(answered);
    for (const { messageId } of parked.data?.items ?? []) {
      this.sim.note(`user retries ${messageId}`);
      await user.request("POST", `/v1/queue/parked/${messageId}/retry`);
    }
  }
}
