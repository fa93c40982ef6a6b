/**
 * A load generator (generator.ts): the agents of many nodes, as far as they wait for their assignments. Says
 * one line when all polls are held, and when it is stopped, at what time each task came to its node.
 *
 * @module
 */
import type { PollResponse } from "../../kv/schema/agent.ts";
import { takeOrders } from "./generator.ts";
import { connectWire, requestOf, type Wire } from "./wire.ts";

export interface PollLoad {
  url: string;
  nodes: { id: string; credential: string }[];
}

/** By task: ms of the wall clock at which its node's agent had read the answer. */
export type Arrivals = Record<string, number>;

/** Connections opened at a time. */
const OPENING = 64;
const decoder = new TextDecoder();

async function poll({ url, nodes }: PollLoad, stopped: Promise<void>): Promise<Arrivals> {
  const arrivals: Arrivals = {};
  const wires: Wire[] = [];
  let over = false;

  async function ask(wire: Wire, id: string, credential: string, since?: number) {
    const query = since === undefined ? "" : `?since=${since}`;
    const request = requestOf(`${url}/v1/nodes/${id}/assignments${query}`, credential);
    const { status, body } = await wire.send(request);
    const atMs = Date.now();
    const text = decoder.decode(body);
    if (status !== 200) throw new Error(`node ${id}: ${status} ${text}`);
    const answer = JSON.parse(text) as PollResponse;
    for (const { taskId } of answer.assignments ?? []) arrivals[taskId] ??= atMs;
    return answer.version;
  }

  async function follow(wire: Wire, id: string, credential: string, first: number) {
    let since = first;
    try {
      while (!over) since = await ask(wire, id, credential, since);
    } catch (error) {
      if (!over) throw error;
    }
  }

  const following: Promise<void>[] = [];
  const left = nodes.values();
  await Promise.all(Array.from({ length: OPENING }, async () => {
    for (const { id, credential } of left) {
      const wire = await connectWire(url);
      wires.push(wire);
      following.push(follow(wire, id, credential, await ask(wire, id, credential)));
    }
  }));
  console.log(JSON.stringify({ held: nodes.length }));
  await Promise.race([stopped, ...following]);
  over = true;
  for (const wire of wires) wire.close();
  await Promise.all(following);
  return arrivals;
}

if (import.meta.main) {
  const { config, stopped } = await takeOrders<PollLoad>();
  console.log(JSON.stringify(await poll(config, stopped)));
  Deno.exit(0);
}
