/**
 * Answers the queries of one project's containers: names of services from what the agent knows, all
 * others from the machine's resolvers. It waits for no control plane.
 *
 * @module
 */
import { type Addresses, answerFound, nothing } from "./answers.ts";
import type { Forwarder } from "./forward.ts";
import {
  passOn,
  type Query,
  readQuery,
  type Reply,
  type Transport,
  writeReply,
} from "./message.ts";
import { lookup, type Zone } from "./zone.ts";

export interface AnswererDeps {
  project: string;
  zone: () => Zone;
  addresses: Addresses;
  forwarder: Forwarder;
  /** Uniform in [0, 1). */
  random: () => number;
}

export function createAnswerer(
  { project, zone, addresses, forwarder, random }: AnswererDeps,
): (bytes: Uint8Array, transport: Transport) => Promise<Uint8Array | undefined> {
  async function ours(query: Query): Promise<Reply | "foreign"> {
    const found = lookup(zone(), query.name, project);
    if (found.kind === "foreign") return "foreign";
    if (found.kind === "unknown") return nothing("NXDOMAIN");
    return await answerFound(found, query, { addresses, first: random() });
  }

  return async (bytes, transport) => {
    const read = readQuery(bytes);
    if (read.kind === "refused") return read.reply;
    const { query } = read;
    const reply = await ours(query);
    if (reply !== "foreign") return writeReply(query, reply, transport);
    const passed = await forwarder.forward(bytes, transport);
    return passed
      ? passOn(query, passed, transport)
      : writeReply(query, { code: "SERVFAIL", answers: [] }, transport);
  };
}
