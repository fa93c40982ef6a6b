/**
 * The requests that replicas are handling, as the checker reads them.
 *
 * @module
 */
import type { Answer, Delivery } from "../checker.ts";
import { pathOf } from "../paths.ts";

export type Kind =
  | "service"
  | "rollout"
  | "run"
  | "node_spec"
  | "node"
  | "restart"
  | "task_restart"
  | "registry"
  | "join"
  | "data"
  | "other";

export interface Request {
  method: string;
  /** The last parts of the path. */
  kind: Kind;
  ref: string;
  body: Record<string, unknown>;
  key: string | undefined;
}

export interface Requests {
  begins(delivery: Delivery): Request;
  /** What was asked for, if that is a change that was carried out now. */
  ends(delivery: Delivery, answer: Answer | undefined): Request | undefined;
  /** Whether the replica handles such a request now. */
  isAsked(by: string, test: (request: Request) => boolean): boolean;
}

export function createRequests(): Requests {
  const running = new Map<Delivery, Request>();
  return {
    begins(delivery) {
      const request = requestOf(delivery);
      running.set(delivery, request);
      return request;
    },
    ends(delivery, answer) {
      const request = running.get(delivery);
      // Of a replica that died, a commit may still be on its way.
      if (answer) running.delete(delivery);
      if (!request || request.method === "GET" || !answer || answer.status >= 300) return undefined;
      return isReplay(answer) ? undefined : request;
    },
    isAsked: (by, test) =>
      [...running].some(([delivery, request]) => delivery.replica === by && test(request)),
  };
}

/** Several rules ask, and a request may be delivered twice. */
const read = new WeakMap<Delivery["sent"], Request>();

function requestOf({ sent }: Delivery): Request {
  let request = read.get(sent);
  if (!request) read.set(sent, request = readRequest(sent));
  return request;
}

function readRequest(sent: Delivery["sent"]): Request {
  const [room, ref = "", part] = pathOf(sent.path).split("/").slice(2);
  const kind = kindOf(sent.method, { room, ref, part });
  const key = sent.headers.find(([name]) => name === "idempotency-key")?.[1];
  const parsed = kind === "other" || sent.body === "" ? {} : JSON.parse(sent.body);
  return { method: sent.method, kind, ref: decodeURIComponent(ref), body: parsed, key };
}

function kindOf(
  method: string,
  { room, ref, part }: { room: string | undefined; ref: string; part: string | undefined },
): Kind {
  if (room === "services") {
    return part === undefined
      ? "service"
      : part === "rollout"
      ? "rollout"
      : part === "runs"
      ? "run"
      : "other";
  }
  if (room === "configs" || room === "secrets") return part === undefined ? "data" : "other";
  if (room === "tasks") return part === "restart" ? "task_restart" : "other";
  if (room === "registries") return ref === "" ? "other" : "registry";
  if (room !== "nodes") return "other";
  if (ref === "join") return "join";
  if (part === "spec") return "node_spec";
  if (part === "restart") return "restart";
  return part === undefined && method === "DELETE" ? "node" : "other";
}

function isReplay({ headers }: Answer): boolean {
  return headers.some(([name]) => name === "idempotent-replay");
}
