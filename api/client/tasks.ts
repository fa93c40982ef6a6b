/**
 * Tasks, and the ways into their containers.
 *
 * @module
 */
import type { ExecOptions, ForwardOptions, LogsOptions } from "../../kv/schema/agent.ts";
import type { AttachOptions, FilesOptions } from "../../kv/schema/inside.ts";
import { TaskView } from "../../kv/schema/task.ts";
import { Why } from "../../kv/schema/why.ts";
import { type CallOptions, Nothing, type ProjectQuery, type Requests, seg } from "./request.ts";

export function taskCalls({ call, list, openSocket }: Requests) {
  return {
    listTasks: (
      query: ProjectQuery & { service?: string; node?: string } = {},
      o: CallOptions = {},
    ) => list("/v1/tasks", TaskView, query, o),
    /** `ref` is an id, the end of an id (6 characters or more), or `service.slot`. */
    getTask: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/tasks/${seg(ref)}`, TaskView, { ...o, query: { project } }),
    /** Stops the task; a new one follows in its slot. */
    restartTask: (ref: string, project?: string, o: CallOptions = {}) =>
      call("POST", `/v1/tasks/${seg(ref)}/restart`, Nothing, { ...o, query: { project } }),
    why: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/tasks/${seg(ref)}/why`, Why, { ...o, query: { project } }),
    /** Opens a log tunnel to the task's agent. Frames: kv/schema/agent.ts, TunnelControl. */
    openLogs: (taskRef: string, options: Partial<LogsOptions> & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/logs`, options),
    openExec: (taskRef: string, options: ExecOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/exec`, options),
    /** A TCP connection to a port of the task's container. */
    openForward: (taskRef: string, options: ForwardOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/forward`, options),
    /** The main process of the task's container. */
    openAttach: (taskRef: string, options: AttachOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/attach`, options),
    openFiles: (taskRef: string, options: FilesOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/files`, options),
  };
}
