/**
 * What an agent asks for and tells.
 *
 * @module
 */
import {
  type JoinRequest,
  JoinResponse,
  PollResponse,
  type ReportRequest,
  ReportResponse,
} from "../../kv/schema/agent.ts";
import { EndpointsResponse } from "../../kv/schema/endpoint.ts";
import { CertificateView } from "../../kv/schema/ingress.ts";
import { DigestPin, PullLogin } from "../../kv/schema/registry.ts";
import { TaskFilesView } from "../../kv/schema/sealed.ts";
import { type CallOptions, Nothing, type Requests, seg } from "./request.ts";

export function agentCalls({ call, hold, openSocket }: Requests) {
  return {
    join: (request: JoinRequest, o: CallOptions = {}) =>
      call("POST", "/v1/nodes/join", JoinResponse, { ...o, body: request }),
    putFacts: (nodeId: string, facts: JoinRequest, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(nodeId)}/facts`, Nothing, { ...o, body: facts }),
    /** Long poll: answers at once when something changed after `since`, else after `holdMs`. */
    poll: (
      nodeId: string,
      query: { since?: number; holdMs?: number; restarted?: string },
      o: CallOptions = {},
    ) => hold(`/v1/nodes/${seg(nodeId)}/assignments`, PollResponse, query, o),
    report: (nodeId: string, report: ReportRequest, o: CallOptions = {}) =>
      call("POST", `/v1/nodes/${seg(nodeId)}/report`, ReportResponse, { ...o, body: report }),
    /** Long poll: answers at once when something changed after `since`, else after `holdMs`. */
    pollEndpoints: (
      nodeId: string,
      query: { since?: number; holdMs?: number },
      o: CallOptions = {},
    ) => hold(`/v1/nodes/${seg(nodeId)}/endpoints`, EndpointsResponse, query, o),
    /** Credentials for the image of a task that this node is to run. */
    pullLogin: (nodeId: string, taskId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/login`, PullLogin, o),
    /** Says which image the tag stands for; the answer is the one that holds. */
    settleDigest: (nodeId: string, taskId: string, pin: DigestPin, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/digest`, DigestPin, {
        ...o,
        body: pin,
      }),
    /** The secrets and configs of a task that this node is to run. */
    taskFiles: (nodeId: string, taskId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/files`, TaskFilesView, o),
    /** A certificate that this node's ingress is to show. */
    certificate: (nodeId: string, secretId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/certificates/${seg(secretId)}`, CertificateView, o),
    /** The agent's side: answers a TunnelRequest. `base` is the request's url, if it had one. */
    answerTunnel: (nodeId: string, sessionId: string, base?: string) =>
      openSocket(`/v1/nodes/${seg(nodeId)}/tunnels/${seg(sessionId)}`, undefined, base),
  };
}
