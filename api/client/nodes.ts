/**
 * Nodes and the cluster that they make.
 *
 * @module
 */
import type { StatsOptions } from "../../kv/schema/inside.ts";
import { type NodeSpecInput, NodeView } from "../../kv/schema/node.ts";
import { PlaygroundSet, type SeedRequest } from "../../kv/schema/playground.ts";
import { ClusterView, JoinTokenView } from "../../kv/schema/views.ts";
import { type CallOptions, type ListQuery, Nothing, type Requests, seg } from "./request.ts";

export function nodeCalls({ call, list, hold, openSocket }: Requests) {
  return {
    cluster: (o: CallOptions = {}) => call("GET", "/v1/cluster", ClusterView, o),
    listNodes: (query: ListQuery = {}, o: CallOptions = {}) =>
      list("/v1/nodes", NodeView, query, o),
    getNode: (ref: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(ref)}`, NodeView, o),
    putNodeSpec: (ref: string, spec: NodeSpecInput, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(ref)}/spec`, NodeView, { ...o, body: spec }),
    /** Refused with 409 while tasks run on it, unless forced. */
    deleteNode: (ref: string, query: { force?: boolean } = {}, o: CallOptions = {}) =>
      call("DELETE", `/v1/nodes/${seg(ref)}`, Nothing, { ...o, query: { ...query } }),
    /** Asks the node's agent to restart; containers run on. */
    restartNode: (ref: string, o: CallOptions = {}) =>
      call("POST", `/v1/nodes/${seg(ref)}/restart`, Nothing, o),
    createJoinToken: (o: CallOptions = {}) =>
      call("POST", "/v1/nodes/join-token", JoinTokenView, { ...o, body: {} }),
    /** What the node's tasks use: lines of NodeUsage. */
    openStats: (nodeRef: string, options: StatsOptions) =>
      openSocket(`/v1/nodes/${seg(nodeRef)}/stats`, options),
    /** The simulated nodes that shall be: held until the set is newer than `since`. */
    playground: (query: { since?: number; holdMs?: number }, o: CallOptions = {}) =>
      hold("/v1/playground/nodes", PlaygroundSet, query, o),
    seedPlayground: (request: SeedRequest, o: CallOptions = {}) =>
      call("POST", "/v1/playground/nodes", PlaygroundSet, { ...o, body: request }),
  };
}
