/**
 * The typed client of the API, for agents, the CLI and tests. It parses every answer with the
 * schema that the server answers from, and turns every failure into a value. The calls are in
 * client/, by kind of object.
 *
 * @module
 */
import { agentCalls } from "./client/agent.ts";
import { eventCalls } from "./client/events.ts";
import { nodeCalls } from "./client/nodes.ts";
import { type ClientOptions, createRequests } from "./client/request.ts";
import { sealedCalls } from "./client/sealed.ts";
import { serviceCalls } from "./client/services.ts";
import { taskCalls } from "./client/tasks.ts";
import { volumeCalls } from "./client/volumes.ts";

export type { CallError, CallOptions, ClientOptions, ListQuery, Result } from "./client/request.ts";
export { describeError } from "./client/request.ts";

export type Client = ReturnType<typeof createClient>;

/** A client of one server. Stateless: it owns no connection and needs no closing. */
export function createClient(options: ClientOptions) {
  const requests = createRequests(options);
  return {
    url: options.url,
    ...serviceCalls(requests),
    ...taskCalls(requests),
    ...sealedCalls(requests),
    ...volumeCalls(requests),
    ...nodeCalls(requests),
    ...agentCalls(requests),
    ...eventCalls(requests),
  };
}
