/**
 * The engine's events about this node's containers.
 *
 * @module
 */
import { type EngineEvent, LABEL } from "../runtime.ts";
import { ask, type Engine, readable } from "./client.ts";
import { bytesOf, jsonLines } from "./streams.ts";

interface DockerEvent {
  Action?: string;
  Actor?: { Attributes?: Record<string, string> };
}

const TYPES: Record<string, EngineEvent["type"]> = {
  start: "start",
  die: "exit",
  health_status: "health",
  destroy: "removed",
};

/** Ends when `signal` aborts, the connection breaks, or it cannot be made. */
export async function* readEvents(
  docker: Engine,
  { nodeId, signal, onChange }: {
    nodeId: string;
    signal: AbortSignal;
    /** Called before an event is handed on. */
    onChange: (taskId: string) => void;
  },
): AsyncGenerator<EngineEvent> {
  const filters = {
    type: ["container" as const],
    label: [`${LABEL.node}=${nodeId}`],
    event: Object.keys(TYPES),
  };
  const answer = await ask(
    "events",
    signal,
    (abortSignal) => docker.getEvents({ filters, abortSignal }),
  );
  if (!answer.ok) return;
  for await (const event of jsonLines<DockerEvent>(bytesOf(readable(answer.value), signal))) {
    // Health comes as `health_status: healthy`.
    const type = TYPES[event.Action?.split(":")[0] ?? ""];
    const taskId = event.Actor?.Attributes?.[LABEL.task];
    if (!type || !taskId) continue;
    onChange(taskId);
    yield { taskId, type };
  }
}
