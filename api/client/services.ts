/**
 * Services and what hangs on them: revisions, rollouts, runs, endpoints, forecasts, projects' locks.
 *
 * @module
 */
import { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import {
  Forecast,
  type PlanRequestInput,
  type SimulateRequestInput,
} from "../../kv/schema/forecast.ts";
import { type LockRequestInput, ProjectLockView } from "../../kv/schema/project.ts";
import { RevisionView, type RolloutCommand } from "../../kv/schema/rollout.ts";
import { type RunRequestInput, RunView } from "../../kv/schema/run.ts";
import { type ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import { type CallOptions, Nothing, type ProjectQuery, type Requests, seg } from "./request.ts";

/** A large cluster takes a while to come to rest, if only on paper. */
const FORECAST_MS = 50_000;

export function serviceCalls({ call, list }: Requests) {
  return {
    listServices: (query: ProjectQuery = {}, o: CallOptions = {}) =>
      list("/v1/services", ServiceView, query, o),
    /** `ref` is an id or a name; a name is looked up in `project`. */
    getService: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/services/${seg(ref)}`, ServiceView, { ...o, query: { project } }),
    createService: (spec: ServiceSpecInput, o: CallOptions = {}) =>
      call("POST", "/v1/services", ServiceView, { ...o, body: spec }),
    /**
     * Replaces the whole spec; a changed template becomes a new revision. With `pull` so does an
     * unchanged one, and what its image's tag stands for is looked up anew.
     */
    putService: (
      ref: string,
      spec: ServiceSpecInput,
      { pull, ...o }: CallOptions & { pull?: boolean } = {},
    ) =>
      call("PUT", `/v1/services/${seg(ref)}`, ServiceView, {
        ...o,
        query: { project: spec.project, ...(pull ? { pull } : {}) },
        body: spec,
      }),
    deleteService: (ref: string, project?: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/services/${seg(ref)}`, ServiceView, { ...o, query: { project } }),
    /** The newest revision first. */
    listRevisions: (
      ref: string,
      query: ProjectQuery = {},
      o: CallOptions = {},
    ) => list(`/v1/services/${seg(ref)}/revisions`, RevisionView, query, o),
    steerRollout: (
      ref: string,
      command: RolloutCommand,
      project?: string,
      o: CallOptions = {},
    ) =>
      call("POST", `/v1/services/${seg(ref)}/rollout`, ServiceView, {
        ...o,
        query: { project },
        body: command,
      }),
    /** Runs a job or cron service now, with other arguments if `request` has any. */
    createRun: (
      ref: string,
      request: RunRequestInput = {},
      project?: string,
      o: CallOptions = {},
    ) =>
      call("POST", `/v1/services/${seg(ref)}/runs`, RunView, {
        ...o,
        query: { project },
        body: request,
      }),
    listRuns: (ref: string, query: ProjectQuery = {}, o: CallOptions = {}) =>
      list(`/v1/services/${seg(ref)}/runs`, RunView, query, o),
    /** Where services can be reached. */
    listEndpoints: (query: ProjectQuery = {}, o: CallOptions = {}) =>
      list("/v1/endpoints", ServiceEndpoints, query, o),
    getEndpoints: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/services/${seg(ref)}/endpoints`, ServiceEndpoints, {
        ...o,
        query: { project },
      }),
    /** What applying these services would do. Nothing is written. */
    plan: (request: PlanRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/plan", Forecast, { ...o, body: request, extraTimeoutMs: FORECAST_MS }),
    /** What if nodes fail, are drained, are added, or services change. Nothing is written. */
    simulate: (request: SimulateRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/simulate", Forecast, { ...o, body: request, extraTimeoutMs: FORECAST_MS }),
    readLock: (project: string, o: CallOptions = {}) =>
      call("GET", `/v1/projects/${seg(project)}/lock`, ProjectLockView, o),
    /** Takes the lock of a project, or renews it. Refused with 409 while somebody else holds it. */
    lockProject: (project: string, request: LockRequestInput, o: CallOptions = {}) =>
      call("PUT", `/v1/projects/${seg(project)}/lock`, ProjectLockView, { ...o, body: request }),
    unlockProject: (project: string, id: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/projects/${seg(project)}/lock`, Nothing, { ...o, query: { id } }),
  };
}
