/**
 * The agents' part of the API over HTTP, in front of a {@link FakeServer}: for agents that are real
 * processes, and for tunnels.
 *
 * @module
 */
import { JoinRequest, ReportRequest, type TunnelOpen } from "../../kv/schema/agent.ts";
import type { NodeFacts } from "../../kv/schema/node.ts";
import type { Result } from "../../api/client.ts";
import type { FakeServer } from "./fake_server.ts";
import { idOf } from "./ids.ts";

export const JOIN_TOKEN = "join-token";
export const CREDENTIAL = "node-credential";

export interface WireServer {
  url: string;
  /** What the node said of itself last. */
  facts: NodeFacts | undefined;
  joins: number;
  /** The idempotency key of every join that was asked for. */
  joinKeys: string[];
  /** So many joins are taken and their answers lost. */
  dropJoins: number;
  refuseJoins: boolean;
  /** Credentials that are accepted. */
  credential: string;
  nodeId: string;
  /** Asks the agent to dial back, and gives the socket that it opens. */
  tunnel(open: TunnelOpen): Promise<WebSocket>;
  close(): Promise<void>;
}

export function serveWire(fake: FakeServer): WireServer {
  const waiting = new Map<string, { open: TunnelOpen; resolve: (socket: WebSocket) => void }>();
  let sessions = 0;
  const controller = new AbortController();

  async function handle(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const token = request.headers.get("authorization")?.replace("Bearer ", "");
    if (pathname === "/v1/nodes/join") {
      if (token !== JOIN_TOKEN || wire.refuseJoins) return problem(401, "unknown join token");
      wire.facts = JoinRequest.parse(await request.json());
      wire.joinKeys.push(request.headers.get("idempotency-key") ?? "none");
      if (wire.dropJoins-- > 0) return problem(503, "the answer was lost");
      wire.joins++;
      const { nodeId, credential } = wire;
      return Response.json({ nodeId, credential, clusterId: idOf(1) });
    }
    if (token !== wire.credential) return problem(401, "unknown credential");
    const [, , , nodeId = "", what, sessionId = ""] = pathname.split("/");
    switch (what) {
      case "facts":
        wire.facts = JoinRequest.parse(await request.json());
        return new Response(null, { status: 204 });
      case "assignments": {
        const since = searchParams.get("since");
        const holdMs = searchParams.get("holdMs");
        return answer(
          await fake.poll(nodeId, {
            ...(since === null ? {} : { since: Number(since) }),
            ...(holdMs === null ? {} : { holdMs: Number(holdMs) }),
          }, { signal: AbortSignal.any([request.signal, controller.signal]) }),
        );
      }
      case "report":
        return answer(await fake.report(nodeId, ReportRequest.parse(await request.json())));
      case "tunnels": {
        const session = waiting.get(sessionId);
        waiting.delete(sessionId);
        if (!session) return problem(404, "no such session");
        const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "berth.v1" });
        socket.binaryType = "arraybuffer";
        socket.addEventListener("open", () => {
          socket.send(JSON.stringify(session.open));
          session.resolve(socket);
        });
        return response;
      }
      default:
        return problem(404, "no such route");
    }
  }

  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handle);
  const wire: WireServer = {
    url: `http://127.0.0.1:${server.addr.port}`,
    facts: undefined,
    joins: 0,
    joinKeys: [],
    dropJoins: 0,
    refuseJoins: false,
    credential: CREDENTIAL,
    nodeId: idOf(7),
    tunnel(open) {
      const sessionId = idOf(5_000 + sessions++);
      const socket = new Promise<WebSocket>((resolve) => waiting.set(sessionId, { open, resolve }));
      fake.tunnels.push({ sessionId });
      fake.nudge();
      return socket;
    },
    async close() {
      controller.abort();
      await server.shutdown();
    },
  };
  return wire;
}

function answer<T>(result: Result<T>): Response {
  return result.ok ? Response.json(result.value) : problem(503, "out of order");
}

function problem(status: number, title: string): Response {
  return Response.json({ type: "about:blank", title, status }, { status });
}
