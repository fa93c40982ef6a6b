/**
 * What is stored sealed: secrets, configs, and the credentials of registries.
 *
 * @module
 */
import { type LoginRequest, RegistryView } from "../../kv/schema/registry.ts";
import {
  type SealedRequestInput,
  SealedView,
  type ValueRequest,
  ValueView,
} from "../../kv/schema/sealed.ts";
import { type CallOptions, Nothing, type ProjectQuery, type Requests, seg } from "./request.ts";

export function sealedCalls(requests: Requests) {
  const { call, list } = requests;
  const secrets = callsOf("/v1/secrets", requests);
  const configs = callsOf("/v1/configs", requests);
  return {
    listSecrets: secrets.list,
    getSecret: secrets.get,
    createSecret: secrets.create,
    rotateSecret: secrets.rotate,
    deleteSecret: secrets.remove,
    listConfigs: configs.list,
    getConfig: configs.get,
    createConfig: configs.create,
    rotateConfig: configs.rotate,
    deleteConfig: configs.remove,
    getConfigValue: (
      ref: string,
      query: { project?: string; version?: number } = {},
      o: CallOptions = {},
    ) => call("GET", `/v1/configs/${seg(ref)}/value`, ValueView, { ...o, query: { ...query } }),

    listRegistries: (o: CallOptions = {}) => list("/v1/registries", RegistryView, {}, o),
    /** Stores credentials, or replaces those of the same registry. */
    putRegistry: (name: string, request: LoginRequest, o: CallOptions = {}) =>
      call("PUT", `/v1/registries/${seg(name)}`, RegistryView, { ...o, body: request }),
    deleteRegistry: (name: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/registries/${seg(name)}`, Nothing, o),
  };
}

/** Secrets and configs differ in their path only. */
function callsOf(path: string, { call, list }: Requests) {
  return {
    list: (query: ProjectQuery = {}, o: CallOptions = {}) => list(path, SealedView, query, o),
    get: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `${path}/${seg(ref)}`, SealedView, { ...o, query: { project } }),
    create: (request: SealedRequestInput, o: CallOptions = {}) =>
      call("POST", path, SealedView, { ...o, body: request }),
    /** Services that refer to it get a new revision; the value that it has changes nothing. */
    rotate: (ref: string, request: ValueRequest, project?: string, o: CallOptions = {}) =>
      call("PUT", `${path}/${seg(ref)}`, SealedView, { ...o, query: { project }, body: request }),
    remove: (ref: string, project?: string, o: CallOptions = {}) =>
      call("DELETE", `${path}/${seg(ref)}`, Nothing, { ...o, query: { project } }),
  };
}
